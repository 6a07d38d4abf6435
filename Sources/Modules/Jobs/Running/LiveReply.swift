import JobEngine
import PetrelKit
import PetrelSupport

/// The confirmation of a job, which shows its last lines while it runs, on backends that can edit messages.
final class LiveReply: Sendable {
    /// The shortest time between two edits.
    private static let interval = Duration.seconds(1)

    let log: JobLog
    private let job: JobRecord
    private let definition: CommandDefinition
    private let center: JobCenter
    private let state = Locked(State())

    private struct State: Sendable {
        var confirmation: Reply?
        var isEditable = false
        /// True if the confirmation says that the job waits.
        var hasWaited = false
        var lastEdit = ContinuousClock.now
        var isOver = false
    }

    init(_ job: JobRecord, _ definition: CommandDefinition, _ center: JobCenter, _ log: JobLog) {
        self.job = job
        self.definition = definition
        self.center = center
        self.log = log
    }

    /// Returns the name under which backends wait for the result of a job.
    static func request(_ id: Int) -> String { "job \(id)" }

    /// Sends the confirmation.
    func confirm(_ admission: JobEngine.Admission, _ say: (Reply, DeliveryMarks) throws -> Void) throws {
        let request = Self.request(job.id)
        let values = center.values(of: job)
        var reply: Reply?
        if definition.hasHandshake {
            reply = center.writer(definition.format).reply(.handshake, values, kind: .acknowledgement)
        }
        // Later edits do not contain the notice that the job waits.
        let confirmation = reply ?? Reply("", kind: .acknowledgement)
        let isEditable = center.host.chat.traits(of: job.address.backend)?.edits == true
        var hasWaited = false
        if case .waits(let place) = admission {
            reply = confirmation
            reply?.addLine("Job \(job.id) waits for a free place: it is number \(place) in the queue.")
            hasWaited = true
        }
        guard var reply else { return try say(Reply(""), DeliveryMarks(promises: request)) }
        let waited = hasWaited
        state.withLock { state in
            state.confirmation = confirmation
            state.isEditable = isEditable
            state.hasWaited = waited
        }
        reply.buttons = [cancelButton]
        if isEditable { try keep(confirmation) }
        try say(reply, DeliveryMarks(handle: isEditable ? request : nil, promises: request))
    }

    /// Stores the confirmation and, once it was sent, its message, so that it can be completed after a crash.
    private func keep(_ confirmation: Reply) throws {
        let (confirmations, job) = (center.confirmations, job)
        try confirmations.put(confirmation, of: job)
        let chat = center.host.chat as? any MessageRecalling
        chat?.remember(Self.request(job.id), on: job.address.backend) { message in
            // It was encoded before, and a message consists of texts.
            try? confirmations.put(confirmation, message, of: job)
        }
    }

    private var cancelButton: Button {
        Button("Cancel", line: center.line("cancel \(job.id)"), style: .danger)
    }

    /// Shows the last lines at most once a second, until it is cancelled.
    func run() async {
        guard state.value.isEditable else { return }
        if state.value.hasWaited { edit(lines: "", buttons: [cancelButton]) }
        var (size, text) = (Int64(0), "")
        // Sleeping fails only if the job has ended.
        while (try? await Task.sleep(for: Self.interval)) != nil {
            guard log.size != size else { continue }
            let last = text
            (size, text) = (log.size, log.recentText)
            guard !text.utf8.elementsEqual(last.utf8) else { continue }
            edit(lines: text, buttons: [cancelButton])
        }
    }

    /// Shows the end of the job, at least a second after the last edit.
    /// - Parameter isStopping: true if Petrel is stopping and does not wait for that.
    func finish(_ job: JobRecord, isStopping: Bool) {
        let state = state.withLock { state in
            state.isOver = true
            return state
        }
        guard state.isEditable, let confirmation = state.confirmation else { return }
        let pause = Self.interval - (ContinuousClock.now - state.lastEdit)
        guard pause > .zero, !isStopping else { return center.complete(confirmation, of: job) }
        Task {
            // Nothing cancels this task, so that sleeping cannot fail.
            try? await Task.sleep(for: pause)
            self.center.complete(confirmation, of: job)
        }
    }

    private func edit(lines: String, buttons: [Button]) {
        let confirmation = state.withLock { state -> Reply? in
            if state.isOver { return nil }
            state.lastEdit = .now
            return state.confirmation
        }
        guard var reply = confirmation else { return }
        let text = ShownText.clean(lines)
        if !text.isEmpty {
            let mark = TextBlock.mark(around: text[...].textLines)
            reply.addLine("\(mark)\n\(text)\n\(mark)")
        }
        if reply.text.isEmpty { reply.addLine("Job \(job.id) is running.") }
        reply.buttons = buttons
        replace(reply)
    }

    private func replace(_ reply: Reply) {
        center.host.chat.replace(Self.request(job.id), with: reply, on: job.address.backend)
    }
}

extension Reply {
    /// Adds a line to the text.
    mutating func addLine(_ line: String) { text += text.isEmpty ? line : "\n\(line)" }
}
