import Logging
import PetrelCore
import PetrelKit
import PetrelSupport

/// A stage with the actions and checks that cases have in common.
public struct ConformanceScene: Sendable {
    /// The stage.
    public let stage: any ConformanceStage
    private let notes: ConformanceNotes

    init(_ stage: any ConformanceStage, _ notes: ConformanceNotes) {
        self.stage = stage
        self.notes = notes
    }

    /// Records a duration for the report.
    public func measured(_ name: String, _ duration: Duration) { notes.measured(name, duration) }

    /// The backend of the stage.
    var backend: any ChatBackend { stage.backend }
    /// The person who types.
    var alice: String { stage.people[0] }
    /// Another person.
    var bob: String { stage.people[1] }
    /// The first room; nil if the service has only direct chats.
    var room: String? { stage.abilities.contains(.rooms) ? stage.rooms.first : nil }
    /// The place of messages that ``alice`` types where nothing else matters.
    var place: Address.Place { room.map { .room($0) } ?? .direct(alice) }

    /// Up to ten places: rooms, then direct chats.
    var places: [Address.Place] {
        let rooms = stage.abilities.contains(.rooms) ? stage.rooms.map { Address.Place.room($0) } : []
        let people = stage.abilities.contains(.direct) ? stage.people.map { Address.Place.direct($0) } : []
        return Array((rooms + people).prefix(10))
    }

    /// Returns the address of a place.
    func address(_ place: Address.Place? = nil, thread: String? = nil, to message: String? = nil) -> Address {
        Address(backend: backend.name, place: place ?? self.place, thread: thread, inReplyTo: message)
    }

    // MARK: - Running

    /// Runs the backend without a host.
    func direct(gate: Signal? = nil, _ body: (DirectRun) async throws -> Void) async throws {
        let run = DirectRun(backend, gate: gate)
        do {
            try await untilConnected()
            try await body(run)
        } catch {
            let reason = run.explained(error)
            // The failure of the body is the reason; a backend that does not stop has cases of its own.
            _ = try? await run.stop()
            throw reason
        }
        try await run.stop()
    }

    /// Runs the backend and a module with a host, so that queues, retries, splitting and replacements are included.
    func hosted(
        _ commands: [Command] = [], _ body: @escaping @Sendable (ModuleHost) async throws -> Void
    ) async throws {
        var limits = Delivery.Limits()
        // A slow machine must not change texts.
        limits.late = .seconds(86_400)
        let host = try TestHost([backend], policy: Dispatcher.Policy(), delivery: limits)
        let module = ConformanceModule(more: commands)
        let scene = self
        try await host.run([module]) {
            try await scene.untilConnected()
            try await body(host.access(for: module.name))
        }
    }

    /// Waits until the bot is connected and in its rooms.
    func untilConnected(file: StaticString = #fileID, line: UInt = #line) async throws {
        let stage = stage
        try await withDeadline(DirectRun.patience, "the backend to be connected", file: file, line: line) {
            try await stage.untilConnected()
        }
    }

    // MARK: - People

    /// Types a text at a place, as ``alice`` or the person of a direct chat.
    @discardableResult
    func say(
        _ text: String, as person: String? = nil, at place: Address.Place? = nil, thread: String? = nil
    ) async throws -> String {
        switch place ?? self.place {
        case .room(let room): try await stage.say(text, as: person ?? alice, in: room, thread: thread)
        case .direct(let other): try await stage.say(text, as: other, in: nil, thread: thread)
        }
    }

    /// Returns the next message that people see.
    func shown(file: StaticString = #fileID, line: UInt = #line) async throws -> ConformanceShown {
        guard let shown = try await stage.next(within: DirectRun.patience) else {
            throw ConformanceFailure(
                expected: "a message of the bot", got: "nothing within \(DirectRun.patience.inWords)", file: file,
                line: line)
        }
        return shown
    }

    /// Returns the next messages at a place, up to one that contains a text, joined by line breaks.
    func shown(
        through marker: String, at place: Address.Place? = nil, file: StaticString = #fileID, line: UInt = #line
    ) async throws -> [ConformanceShown] {
        var all: [ConformanceShown] = []
        while true {
            let shown = try await shown(file: file, line: line)
            if let place, shown.place != place { continue }
            all.append(shown)
            if shown.text.holds(marker) { return all }
        }
    }

    /// Types a command whose answer comes after all earlier ones, and returns the messages before its answer.
    func rest(
        at place: Address.Place? = nil, file: StaticString = #fileID, line: UInt = #line
    ) async throws -> [ConformanceShown] {
        try await say("!echo the-end", at: place)
        return Array(try await shown(through: "the-end", file: file, line: line).dropLast())
    }
}

extension String {
    /// Returns true if the text contains another one, compared by UTF-8.
    func holds(_ part: String) -> Bool {
        var rest = utf8[...]
        let (bytes, count) = (Array(part.utf8), part.utf8.count)
        while let first = bytes.first, let start = rest.firstIndex(of: first) {
            rest = rest[start...]
            if rest.prefix(count).elementsEqual(bytes) { return true }
            rest = rest.dropFirst()
        }
        return bytes.isEmpty
    }
}
