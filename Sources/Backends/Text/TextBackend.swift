package import Foundation
package import Logging
package import PetrelKit
import PetrelSupport

/// A backend that chats on standard input and output: interactively, as plain lines or as JSON lines.
package final class TextBackend: ChatBackend, CompletionObserving, Completing, LogWriting {
    /// The name of this instance, which is its section in the configuration.
    package let name: String
    /// Threads and private replies; at most 20,000 characters per message in a terminal, otherwise 1,000,000.
    package let traits: BackendTraits
    private let settings: TextSettings
    private let logger: Logger
    private let screen: any TextScreen
    private let open = PendingRequests()

    /// Creates a backend. Uses the interactive terminal if the format is `terminal` and standard input is a terminal.
    /// - Parameters:
    ///   - input: the file from which the other formats are read.
    ///   - output: the writer for the other formats.
    package init(
        name: String, settings: TextSettings, logger: Logger, from input: FileHandle = .standardInput,
        to output: StandardStream = .output
    ) {
        self.name = name
        self.settings = settings
        self.logger = logger
        let isTerminal = isatty(STDIN_FILENO) == 1 && settings.format == .terminal
        traits = BackendTraits(threads: true, privateReplies: true, maximumLength: isTerminal ? 20_000 : 1_000_000)
        let place = TextPlace(user: settings.user, room: settings.room)
        switch settings.format {
        case .jsonl: screen = JSONLines(from: input, to: output, logger: logger)
        case .terminal where isTerminal: screen = Terminal(place: place, history: settings.history)
        case .terminal: screen = PlainLines(place: place, from: input, to: output)
        }
    }

    /// Opened when standard output is closed.
    private let outputClosed = Signal()
    /// The error number (errno(3)) of the last reply, or 0 if it was written.
    private let lastError = Locked<CInt>(0)

    /// Delivers messages until the input ends, then waits up to ``TextSettings/linger`` for pending results. Throws a
    /// final ``BackendFailure`` if standard output is closed, or if the last reply could not be written.
    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.converse(deliver) }
            group.addTask { await self.outputClosed.wait() }
            await group.next()
            group.cancelAll()
        }
        screen.close()
        guard !Task.isCancelled else { return }
        guard !outputClosed.isOpen else {
            throw BackendFailure(
                "standard output is closed; unsent messages are kept for the next run", isFinal: true)
        }
        // EIO is a closed terminal, which also ends the input and is not a failure.
        let code = lastError.value
        guard code == 0 || code == EIO else {
            throw BackendFailure(
                "cannot write to standard output: \(Self.text(of: code)); the last replies were not written",
                isFinal: true)
        }
    }

    private static func text(of code: CInt) -> String { String(cString: strerror(code)) }

    private func converse(_ deliver: @escaping @Sendable (ChatMessage) async -> Void) async {
        for await message in screen.messages() {
            open.asked("message \(message.id)")
            await deliver(message)
        }
        announceWait()
        await open.settled(within: settings.linger)
    }

    /// States in an interactive terminal that results are awaited.
    private func announceWait() {
        guard let terminal = screen as? Terminal,
            let notice = Self.waitNotice(for: open.count, within: settings.linger)
        else { return }
        terminal.print(notice)
    }

    /// Returns the notice that results are awaited at the end of the input; nil if nothing is awaited.
    static func waitNotice(for count: Int, within linger: Duration) -> String? {
        guard count > 0, linger > .zero else { return nil }
        return "Waiting up to \(linger.inWords) for \(count) result\(count == 1 ? "" : "s"); press Ctrl-C to quit now."
    }

    /// Writes a reply. Always returns nil: messages have no reference here. Throws ``SendFailure`` if the write fails.
    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let code = await screen.show(reply, at: address)
        // A cancelled write says nothing about the output.
        if code != ECANCELED { lastError.withLock { $0 = code } }
        guard code != 0 else { return nil }
        // Output is gone for good, so waiting for results is pointless.
        if [EPIPE, EBADF, EIO].contains(code) { open.giveUp() }
        if code == EPIPE || code == EBADF { outputClosed.open() }
        // The outbox keeps the reply for the next process.
        throw SendFailure(
            "cannot write to standard output: \(Self.text(of: code))", .later(after: .seconds(10)))
    }

    /// Records that a message was processed and its replies were sent.
    package func completed(_ messageID: String) { open.answered("message \(messageID)") }

    /// A function that writes a log line above the input line. Nil unless this backend is an interactive terminal and
    /// standard error is a terminal too.
    package var logWriter: (@Sendable (String) -> Void)? {
        guard let terminal = screen as? Terminal, isatty(STDERR_FILENO) == 1 else { return nil }
        return { terminal.print($0.trimmingCharacters(in: .newlines)) }
    }

    /// Records that a result with this request ID is expected.
    package func promised(_ request: String) { open.asked("result \(request)") }

    /// Records that the result with this request ID was sent.
    package func settled(_ request: String) { open.answered("result \(request)") }

    /// Sets the completion candidates and the filter for the history. Has no effect unless this is a terminal.
    package func complete(
        from lines: @escaping @Sendable () -> [String], prefix: String,
        isSecret: @escaping @Sendable (String) -> Bool
    ) {
        (screen as? Terminal)?.complete(from: { lines().map { prefix + $0 } }, isSecret: isSecret)
    }
}

extension TextBackend: PlaceNaming {
    /// Returns a possible direct chat for names that start with `@`, and a possible room for all other names.
    package func claim(_ name: String) -> PlaceClaim {
        .possible(name.utf8.first == UInt8(ascii: "@") ? .direct(name) : .room(name))
    }
}

/// An input and output format of the text backend.
protocol TextScreen: Sendable {
    /// Returns the messages that are read, until the end of the input.
    func messages() -> AsyncStream<ChatMessage>
    /// Writes a reply. Returns 0, or the error number (errno(3)) if the write failed.
    func show(_ reply: Reply, at address: Address) async -> CInt
    /// Stops reading. Called when the backend ends.
    func close()
}

extension TextScreen {
    func close() {}
}

/// Tracks requests without a response, so that the backend can wait for results after the end of the input.
final class PendingRequests: Sendable {
    private struct State {
        /// The number of requests minus the number of responses by ID. Negative if a result arrived before its promise.
        var balance: [String: Int] = [:]
        var open = 0
        var isOver = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private static let mostEarly = 10_000

    private let state = Locked(State())

    func asked(_ id: String) { count(id, 1) }

    func answered(_ id: String) { count(id, -1) }

    private func count(_ id: String, _ step: Int) {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            let before = state.balance[id, default: 0]
            let after = before + step
            // Limits results that were never promised here, such as those of an earlier run.
            if after < 0, state.balance.count >= Self.mostEarly { return nil }
            state.balance[id] = after == 0 ? nil : after
            state.open += max(after, 0) - max(before, 0)
            guard state.open == 0 else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// The number of open requests.
    var count: Int { state.value.open }

    /// Waits until no request is open, the time is over, or the task is cancelled.
    func settled(within limit: Duration) async {
        let timer = Task {
            try await Task.sleep(for: limit)
            giveUp()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSettled = state.withLock { state in
                    if state.open == 0 || state.isOver { return true }
                    state.waiter = continuation
                    return false
                }
                if isSettled { continuation.resume() }
            }
        } onCancel: {
            giveUp()
        }
        timer.cancel()
    }

    /// Ends the current wait and every later one.
    func giveUp() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            state.isOver = true
            return state.waiter
        }
        waiter?.resume()
    }
}
