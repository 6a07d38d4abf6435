import FaultSuite
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import IRCBackend

/// A bot and two people on a server that other stages use as well. Their nicks and channels are their own.
///
/// The bot connects through a relay, which ends its TLS. The server has no accounts, so that the ID of a person is valid
/// for one visit.
final class IRCStage: ConformanceStage {
    let abilities: Set<ConformanceAbility> = [
        .rooms, .direct, .people, .privateReplies, .naming, .unknownPlaces, .cutting, .stalling, .refusingForGood,
        .refusingForNow, .restarting,
    ]
    let rooms: [String]
    let unknownPlaces: [Address.Place]
    private let irc: IRCBackend
    private let relay: Relay
    private let gate: IRCGate
    private let view: IRCView
    private let changes: Changes
    private let alice: IRCPerson
    private let bob: IRCPerson

    private static let count = Locked(0)

    /// Runs the body with a stage.
    static func run(_ server: IRCServer, _ body: (IRCStage) async throws -> Void) async throws {
        let number = count.withLock {
            $0 += 1; return $0
        }
        let gate = IRCGate()
        try await Relay.run(to: server.port, configure: { try gate.configure($0, server.certificate) }) { relay in
            let rooms = ["ops", "dev", "sec"].map { "#\($0)\(number)" }
            let changes = Changes()
            let view = IRCView(bot: "petrel\(number)", changes)
            let alice = try await IRCPerson.connect("alice\(number)", port: server.port, channel: nil) {
                view.take($0, from: rooms)
            }
            let bob = try await IRCPerson.connect("bob\(number)", port: server.port, channel: nil) {
                view.take($0, from: [])
            }
            for person in [alice, bob] { for room in rooms { try await person.join(room) } }
            var settings = server.settings(channels: rooms)
            settings.nick = view.bot
            settings.username = view.bot
            settings.port = relay.port
            try await body(
                IRCStage(
                    makeBackend(settings, logger: changes.logger), relay, gate, view, changes, [alice, bob], rooms))
            for person in [alice, bob] { try await person.quit() }
        }
    }

    private init(
        _ backend: IRCBackend, _ relay: Relay, _ gate: IRCGate, _ view: IRCView, _ changes: Changes,
        _ people: [IRCPerson], _ rooms: [String]
    ) {
        irc = backend
        self.relay = relay
        self.gate = gate
        self.view = view
        self.changes = changes
        (alice, bob) = (people[0], people[1])
        self.rooms = rooms
        unknownPlaces = [.room("#nowhere"), .direct("@nobody"), .direct("nobody!0123456789abcdef")]
        view.identify { [irc] in Self.id(of: $0, irc) }
    }

    var backend: any ChatBackend { irc }

    /// The IDs of the people in their current visits.
    var people: [String] { [alice, bob].map { Self.id(of: $0.nick, irc) } }

    private static func id(of nick: String, _ backend: IRCBackend) -> String {
        backend.link.session.people.occupant(nick)?.visit ?? "@\(nick)"
    }

    private func person(_ id: String) -> IRCPerson { id.contains(bob.nick) ? bob : alice }

    func untilConnected() async throws {
        try await changes.wait(until: "the bot is in its channels") {
            self.view.rooms == Set(self.rooms) && self.irc.status().isEmpty
        }
    }

    func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String {
        try await self.person(person).say(carried(text), to: room ?? view.bot)
        return "unknown"
    }

    /// A client sends a line, which has no line breaks and at most 512 bytes with everything before the text. The server
    /// removes white space at its end.
    func carried(_ text: String) -> String {
        var line = String.UnicodeScalarView()
        var bytes = 0
        for scalar in text.replacingLineBreaks where scalar != "\u{0}" {
            bytes += String(scalar).utf8.count
            if bytes > 400 { break }
            line.append(scalar)
        }
        while let last = line.last, last == " " || last == "\t" { line.removeLast() }
        return String(line)
    }

    /// Each line is a message. Clients neither display blank ones nor tabs.
    func displayed(_ text: String) -> String {
        text.replacing("\t", with: " ").unicodeScalars.split(separator: "\n")
            .filter { !$0.allSatisfy { $0.properties.isWhitespace } }
            .map { String($0) }.joined(separator: "\n")
    }

    func next(within limit: Duration) async throws -> ConformanceShown? { await view.shown.next(within: limit) }

    func refuseNext(_ remedy: SendFailure.Remedy) async throws { gate.refuse(remedy) }

    func set(_ connection: ConformanceConnection) async throws {
        switch connection {
        case .open: await relay.set(.open)
        case .stalled: await relay.set(.stalled)
        case .cut:
            await relay.set(.cut)
            try await changes.wait(until: "the server has noticed that the bot is gone") { self.view.rooms.isEmpty }
        }
    }
}

extension String {
    /// The text with a space for every line break.
    fileprivate var replacingLineBreaks: [Unicode.Scalar] {
        var scalars: [Unicode.Scalar] = []
        var last: Unicode.Scalar?
        for scalar in unicodeScalars {
            if scalar != "\n" || last != "\r" { scalars.append(scalar == "\n" || scalar == "\r" ? " " : scalar) }
            last = scalar
        }
        return scalars
    }
}
