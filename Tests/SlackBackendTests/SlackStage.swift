import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import SlackBackend

/// A simulated workspace, to which the backend connects through a relay.
final class SlackStage: ConformanceStage {
    let abilities = Set(ConformanceAbility.allCases)
    let rooms = ["C1", "C2", "C3"]
    let people = ["U1", "U2"]
    let unknownPlaces: [Address.Place] = [.room("C404"), .room("#nowhere"), .direct("U404"), .direct("@nobody")]
    let backend: any ChatBackend
    private let workspace: Workspace
    private let relay: Relay
    /// The orders with which messages were typed, by timestamp.
    private let typed = Locked<[String: [String: JSONValue]]>([:])
    /// The events that nobody has read, and the number of all events.
    private let shown = Locked((waiting: [JSONValue](), count: 0))

    /// Runs the body with a stage.
    static func run(_ workspace: Workspace, _ body: (SlackStage) async throws -> Void) async throws {
        let port = try #require(URL(string: workspace.address)?.port)
        try await Relay.run(to: port) { relay in try await body(SlackStage(workspace, relay)) }
    }

    private init(_ workspace: Workspace, _ relay: Relay) throws {
        self.workspace = workspace
        self.relay = relay
        let slack = SlackBackend(
            name: "slack", settings: try workspace.settings(at: "http://127.0.0.1:\(relay.port)/"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        // Slack repeats an event whose acknowledgement was lost, also after a cut.
        slack.keep(in: try TestStore().storage(for: "slack"))
        backend = slack
    }

    func untilConnected() async throws { try await workspace.untilOpen(sockets: 1) }

    func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String {
        // A client sends the three escaped characters as entities.
        var order: [String: JSONValue] = [
            "user": .string(person), "text": .string(SlackDisplay.escaped(text)),
            "channel": room.map { .string($0) } ?? .null,
        ]
        if let thread { order["thread_ts"] = .string(thread) }
        let answer = try await workspace.order("say", order)
        let time = try #require(answer["ts"]?.string)
        order["ts"] = .string(time)
        order["event_id"] = answer["event_id"]
        typed.withLock { [order] in $0[time] = order }
        return time
    }

    func redeliver(_ message: String) async throws {
        try await workspace.order("say", try #require(typed.value[message]))
    }

    func refuseNext(_ remedy: SendFailure.Remedy) async throws {
        let code = remedy == .never ? "restricted_action" : "internal_error"
        try await workspace.order(
            "fault", ["method": "chat.postMessage", "fault": ["error": .string(code), "times": 1]])
    }

    func set(_ connection: ConformanceConnection) async throws {
        switch connection {
        case .open: await relay.set(.open)
        case .cut:
            await relay.set(.cut)
            try await workspace.untilNoSocketIsOpen()
        case .stalled: await relay.set(.stalled)
        }
    }

    func next(within limit: Duration) async throws -> ConformanceShown? {
        if let first = takeFirst() { return ConformanceShown(slack: first) }
        let after = shown.value.count
        let seconds = limit / .seconds(1)
        let new = try await workspace.request("shown?after=\(after)&seconds=\(seconds)").array ?? []
        shown.withLock { shown in
            shown.waiting += new
            shown.count += new.count
        }
        return takeFirst().map { ConformanceShown(slack: $0) }
    }

    private func takeFirst() -> JSONValue? {
        shown.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
    }
}

extension Workspace {
    /// Waits until the stand-in has noticed the end of every socket.
    fileprivate func untilNoSocketIsOpen() async throws { _ = try await request("log?most_sockets=0") }
}

extension ConformanceShown {
    /// Reads an event of the stand-in.
    fileprivate init(slack event: JSONValue) {
        let message = event["message"] ?? .null
        let channel = message["channel"]?.string ?? ""
        // The channels of direct messages.
        let place: Address.Place =
            switch channel {
            case "D1": .direct("U1")
            case "D2": .direct("U2")
            default: .room(channel)
            }
        let isPersonal = message["ephemeral"]?.bool == true || message["response_type"]?.string == "ephemeral"
        self.init(
            message["content"]?.string ?? SlackDisplay.text(of: message), at: place,
            thread: message["thread_ts"]?.string, reader: isPersonal ? message["user"]?.string : nil,
            isReplacement: event["replaces"]?.bool == true, file: message["file"]?.string)
    }
}
