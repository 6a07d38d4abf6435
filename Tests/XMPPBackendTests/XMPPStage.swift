import AsyncHTTPClient
import FaultSuite
import Foundation
import NIOCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import XMPPBackend

/// A bot and two people on a server that other stages use as well. Their accounts and rooms are their own.
final class XMPPStage: ConformanceStage {
    let abilities: Set<ConformanceAbility> = [
        .rooms, .direct, .people, .threads, .privateReplies, .files, .naming, .stableIdentities, .unknownPlaces,
        .redelivery, .cutting, .stalling, .refusingForGood, .refusingForNow, .restarting,
    ]
    let rooms: [String]
    let people: [String]
    let unknownPlaces: [Address.Place]
    private let xmpp: XMPPBackend
    private let crowd: XMPPCrowd
    private let relay: Relay
    private let bot: String
    private let changes = Changes()
    private let events = Mailbox<JSONValue>()
    /// The orders with which messages were sent, by ID.
    private let typed = Locked<[String: (person: String, order: [String: JSONValue])]>([:])
    private let isReady = [Signal(), Signal()]
    private let isRefusing = Mailbox<Void>()
    private let problem = Locked<String?>(nil)

    /// Runs the body with a stage.
    static func run(_ crowd: XMPPCrowd, _ body: (XMPPStage) async throws -> Void) async throws {
        try await Relay.run(to: crowd.server.port) { relay in
            let stage = try XMPPStage(crowd, relay)
            try await stage.enter()
            try await body(stage)
            try stage.leave()
        }
    }

    private init(_ crowd: XMPPCrowd, _ relay: Relay) throws {
        self.crowd = crowd
        self.relay = relay
        let number = crowd.nextNumber()
        bot = "petrel\(number)"
        people = ["alice\(number)@localhost", "bob\(number)@localhost"]
        let names = ["ops\(number)", "dev\(number)"]
        rooms = names.map { "\($0)@conference.localhost" }
        unknownPlaces = [.room("nowhere@conference.localhost"), .direct("nobody@localhost"), .direct("@")]
        var settings = try crowd.server.settings(rooms: names)
        settings.jid = try #require(JID("\(bot)@localhost"))
        settings.nick = bot
        settings.port = relay.port
        xmpp = crowd.server.backend(settings, logger: changes.logger)
        // A server repeats a message whose acknowledgement was lost, also after a cut.
        xmpp.keep(in: try TestStore().storage(for: "xmpp"))
    }

    var backend: any ChatBackend { xmpp }

    private func name(_ person: String) -> String { String(person.prefix { $0 != "@" }) }

    /// Connects the people, one after the other, because the first one creates the rooms.
    private func enter() async throws {
        for (person, isReady) in zip(people, isReady) {
            let isFirst = person == people[0]
            crowd.listen(to: name(person)) { [events, isRefusing, problem] event in
                if let text = event["problem"]?.string { problem.withLock { $0 = text } }
                if event["ready"] != nil || event["problem"] != nil { isReady.open() }
                if event["refusing"] != nil { isRefusing.put(()) }
                // All people are in the rooms, and one of them shows the messages there.
                if event["text"] != nil, isFirst || event["kind"] != "groupchat" { events.put(event) }
            }
            try crowd.order("enter", name(person), ["rooms": .array(rooms.map { .string($0) })])
            await Signal.wait(for: isReady, atMost: .seconds(300))
            if let problem = problem.value { throw Refusal("the client of \(person) failed: \(problem)") }
            guard isReady.isOpen else { throw Refusal("\(person) is not in the rooms") }
        }
    }

    private func leave() throws {
        for person in people {
            crowd.listen(to: name(person), nil)
            try crowd.order("leave", name(person))
        }
    }

    func untilConnected() async throws {
        let jids = rooms.compactMap { JID($0) }
        try await changes.wait(until: "the bot is in its rooms") {
            relay.connections > 0 && xmpp.link.isOpen
                && jids.allSatisfy { xmpp.rooms.room($0)?.standing == .inside }
        }
    }

    func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String {
        let id = UUID().uuidString
        let order: [String: JSONValue] = [
            "to": .string(room ?? "\(bot)@localhost"), "kind": room == nil ? "chat" : "groupchat",
            "text": .string(text), "id": .string(id), "thread": thread.map { .string($0) } ?? .null,
        ]
        typed.withLock { $0[id] = (person, order) }
        try crowd.order("say", name(person), order)
        return id
    }

    func redeliver(_ message: String) async throws {
        let (person, order) = try #require(typed.value[message])
        try crowd.order("say", name(person), order)
    }

    /// XML contains neither all control characters nor noncharacters, and has LF as its only line break.
    func carried(_ text: String) -> String {
        var carried = String.UnicodeScalarView()
        var last: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            defer { last = scalar }
            switch scalar.value {
            case 0x0A where last == "\r": break
            case 0x0D: carried.append("\n")
            case 0x09, 0x0A, 0x20...0xFFFD, 0x10000...: carried.append(scalar)
            default: break
            }
        }
        return String(carried)
    }

    func displayed(_ text: String) -> String { carried(text) }

    func next(within limit: Duration) async throws -> ConformanceShown? {
        let end = ContinuousClock.now + limit
        while let event = await events.next(within: end - .now) {
            let from = try #require(event["from"]?.string.flatMap { JID($0) })
            if let shown = try await shown(event, from) { return shown }
        }
        if let problem = problem.value { throw Refusal("a client failed: \(problem)") }
        return nil
    }

    /// Returns a message of the bot, or nil for one of a person.
    private func shown(_ event: JSONValue, _ from: JID) async throws -> ConformanceShown? {
        let text = event["text"]?.string ?? ""
        let person = "\(event["who"]?.string ?? "")@localhost"
        var shown: ConformanceShown
        if rooms.contains(from.bare.description) {
            guard from.resource == bot else { return nil }
            let isPrivate = event["kind"] != "groupchat"
            shown = ConformanceShown(text, at: .room(from.bare.description), reader: isPrivate ? person : nil)
        } else {
            guard from.bare.description == "\(bot)@localhost" else { return nil }
            shown = ConformanceShown(text, at: .direct(person))
        }
        shown.thread = event["thread"]?.string
        if let file = event["file"]?.string {
            shown.file = URL(string: file)?.lastPathComponent
            let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: file), timeout: .minutes(2))
            shown.text = String(buffer: try await response.body.collect(upTo: 64 << 20))
        }
        return shown
    }

    func refuseNext(_ remedy: SendFailure.Remedy) async throws {
        let isFinal = remedy == .never
        try crowd.order(
            "refuse", name(people[0]),
            [
                "account": .string(bot), "type": isFinal ? "cancel" : "wait",
                "condition": isFinal ? "not-allowed" : "resource-constraint",
            ])
        guard await isRefusing.next(within: .seconds(300)) != nil else { throw Refusal("the server does not refuse") }
    }

    func set(_ connection: ConformanceConnection) async throws {
        switch connection {
        case .open: await relay.set(.open)
        case .cut: await relay.set(.cut)
        case .stalled: await relay.set(.stalled)
        }
    }
}
