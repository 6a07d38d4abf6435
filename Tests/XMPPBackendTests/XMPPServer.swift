import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import XMPPBackend

/// A server from Debian on loopback that can be stopped and restarted.
final class XMPPServer: Sendable {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case prosody, ejabberd

        /// The servers to test with. `PETREL_XMPP_SERVERS=all` selects all of them (`make test-xmpp`).
        static let tested: [Kind] =
            ProcessInfo.processInfo.environment["PETREL_XMPP_SERVERS"] == "all" ? allCases : [.prosody]

        var testDescription: String { rawValue }

        /// The log messages that indicate that the ports are open.
        fileprivate var ready: [String] {
            switch self {
            case .prosody: ["Activated service 'c2s'", "Activated service 'c2s_direct_tls'"]
            case .ejabberd: ["ejabberd is ready"]
            }
        }
    }

    let kind: Kind
    let folder: URL
    let certificate: SelfSigned
    let port: Int
    let directPort: Int
    private let httpPort: Int
    /// The number of further accounts for a bot and for two people each.
    private let crowd: Int
    private let program: Locked<Program?> = Locked(nil)

    private init(_ kind: Kind, _ folder: URL, crowd: Int) async throws {
        self.kind = kind
        self.crowd = crowd
        self.folder = folder
        certificate = try await SelfSigned(in: folder)
        port = try freePort()
        directPort = try freePort()
        httpPort = try freePort()
    }

    static func run(
        _ kind: Kind = .prosody, crowd: Int = 0, _ body: @Sendable (XMPPServer) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let server = try await XMPPServer(kind, folder, crowd: crowd)
            try await server.start()
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(server))
            } catch {
                result = .failure(error)
            }
            await server.stop(SIGKILL)
            try result.get()
        }
    }

    func start() async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Scripts/\(kind.rawValue)-for-tests")
        let numbers = [port, directPort, httpPort] + (crowd > 0 ? [crowd] : [])
        let started = try Program([folder.path] + numbers.map { "\($0)" }, of: script.path)
        for word in kind.ready where await started.line(with: word) == nil {
            throw Refusal("\(kind) did not start: \(await started.error(with: "") ?? "")")
        }
        program.withLock { $0 = started }
    }

    /// - Parameter signal: `SIGKILL` stops the server at once; with `SIGTERM` prosody waits for its clients.
    func stop(_ signal: Int32) async {
        guard let program = program.value else { return }
        program.signal(signal)
        _ = await program.exit()
        self.program.withLock { $0 = nil }
    }

    /// Returns settings for connecting to this server.
    func settings(rooms: [String] = ["ops"]) throws -> XMPPSettings {
        var settings = XMPPSettings(
            jid: try #require(JID("petrel@localhost")), password: Secret("secret"), nick: "petrel")
        settings.host = "127.0.0.1"
        settings.port = port
        settings.authority = certificate.certificate
        settings.rejoining = .milliseconds(100)
        settings.rooms = try rooms.map {
            XMPPSettings.RoomSettings(jid: try #require(JID("\($0)@conference.localhost")), password: nil)
        }
        return settings
    }

    func backend(_ settings: XMPPSettings, logger: Logger? = nil) -> XMPPBackend {
        XMPPBackend(
            name: "xmpp", settings: settings, version: "0",
            logger: logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Starts the client of a person with an account, and joins a room unless it is nil.
    func person(_ name: String, in room: String? = "ops", nick: String? = nil) async throws -> XMPPPerson {
        let place = room.map { ["\($0)@conference.localhost", nick ?? name] } ?? []
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("person.py")
        let program = try await Program(
            ["-W", "ignore", script.path, "\(name)@localhost", "secret", "\(port)", certificate.certificate] + place,
            of: PythonTools.path(of: "python3"))
        let person = XMPPPerson(program)
        _ = try await person.told("ready")
        return person
    }
}

/// A person's client: drives person.py.
final class XMPPPerson: Sendable {
    static let room = "ops@conference.localhost"

    private let program: Program
    /// The events that no caller has waited for yet.
    private let kept = Locked<[JSONValue]>([])

    init(_ program: Program) { self.program = program }

    func order(_ what: String, _ more: [String: JSONValue] = [:]) throws {
        let order = JSONValue.object(more.merging(["do": .string(what)]) { _, new in new })
        let bytes: [UInt8] = try JSONValue.encode(order)
        program.type(String(decoding: bytes, as: UTF8.self))
    }

    /// Sends a message to the room, or to `to`.
    func say(_ text: String, to: String? = nil, _ more: [String: JSONValue] = [:]) throws {
        let order: [String: JSONValue] = [
            "to": .string(to ?? Self.room), "kind": to == nil ? "groupchat" : "chat", "text": .string(text),
        ]
        try self.order("say", order.merging(more) { _, new in new })
    }

    /// The time after which the client is killed, so that the failure lists the events instead.
    private static let patience = Duration.seconds(240)

    /// Returns the next event with this key and a matching value.
    func told(_ key: String, fits: (JSONValue) -> Bool = { _ in true }) async throws -> JSONValue {
        func isWanted(_ json: JSONValue) -> Bool { json[key].map(fits) ?? false }
        let earlier = kept.withLock { kept -> JSONValue? in
            kept.firstIndex(where: isWanted).map { kept.remove(at: $0) }
        }
        if let earlier { return earlier }
        let isTold = Promised<Bool>()
        Task { if await isTold.wait(atMost: Self.patience) == nil { program.signal(SIGKILL) } }
        defer { isTold.settle(true) }
        while let line = await program.line() {
            let json = try JSONValue.parse(line.utf8)
            if let problem = json["problem"] { throw Refusal("the client of this person failed: \(problem)") }
            if isWanted(json) { return json }
            kept.withLock { $0.append(json) }
        }
        let rest = kept.value.suffix(5).map { "\($0)" }.joined(separator: "\n")
        throw Refusal(
            "no \"\(key)\" event before the client exited: \(await program.error(with: "") ?? ""). Last events:\n\(rest)"
        )
    }

    /// Ends the client. Returns the texts that no caller has waited for.
    func leave() async throws -> [String] {
        program.closeInput()
        var all = kept.value
        while let line = await program.line() { all.append(try JSONValue.parse(line.utf8)) }
        return all.compactMap { $0["text"]?.string }
    }

    /// Waits until an occupant with this nick has joined the room.
    func saw(_ nick: String) async throws { _ = try await told("joined") { $0.string == nick } }

    /// Returns the next message from this sender that contains this text.
    func heard(_ part: String = "", from sender: String = "petrel") async throws -> JSONValue {
        while true {
            let message = try await told("text") { part.isEmpty || $0.string?.contains(part) == true }
            if message["from"]?.string?.contains(sender) == true { return message }
        }
    }
}
