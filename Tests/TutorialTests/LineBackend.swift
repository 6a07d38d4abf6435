import Foundation
import Logging
import NIOCore
public import PetrelKit
import PetrelSupport

/// A chat server that speaks lines over TCP: `CHANNEL NICK TEXT` in, `CHANNEL TEXT` out.
public struct LineBackend: ChatBackend {
    public let name: String
    public let traits = BackendTraits(maximumLength: 400)
    private let settings: LineSettings
    private let context: BackendContext
    private let outgoing = Outgoing()

    public init(name: String, settings: LineSettings, context: BackendContext) {
        self.name = name
        self.settings = settings
        self.context = context
    }

    public func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        let connector = TCPConnector(host: settings.host, port: settings.port, security: settings.security)
        let channel = try await connector.open(on: context.loop.eventLoop)
        context.logger.info("connected to \(settings.host):\(settings.port)")
        try await channel.executeThenClose { inbound, outbound in
            outgoing.open { try await outbound.write(ByteBuffer(string: $0 + "\n")) }
            defer { outgoing.close() }
            var parser = LineParser()
            for try await bytes in inbound {
                for message in parser.feed(bytes.readableBytesView) { await deliver(message) }
            }
        }
        throw BackendFailure("the server closed the connection")
    }

    public func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        for line in reply.text.textLines {
            try await outgoing.write("\(address.place.id) \(line)")
        }
        return nil
    }
}

/// Cuts bytes into lines, and lines into messages. It holds at most one line of 64 KiB.
struct LineParser {
    private static let longest = 65_536
    private var rest: [UInt8] = []

    mutating func feed(_ bytes: some Sequence<UInt8>) -> [ChatMessage] {
        var messages: [ChatMessage] = []
        for byte in bytes {
            guard byte == UInt8(ascii: "\n") else {
                if rest.count < Self.longest { rest.append(byte) }
                continue
            }
            if let message = message(String(decoding: rest, as: UTF8.self)) { messages.append(message) }
            rest = []
        }
        return messages
    }

    private func message(_ line: String) -> ChatMessage? {
        let (channel, text) = line.firstWord
        let (nick, command) = text.firstWord
        guard !command.isEmpty else { return nil }
        return ChatMessage(
            id: UUID.timeOrdered().uuidString, sender: Person(id: nick, name: "@\(nick)", isStable: false),
            room: Room(id: channel, name: channel), text: command)
    }
}

/// The connection that is open now, if one is.
private final class Outgoing: Sendable {
    private let writer = Locked<(@Sendable (String) async throws -> Void)?>(nil)

    func open(_ write: @escaping @Sendable (String) async throws -> Void) { writer.withLock { $0 = write } }

    func close() { writer.withLock { $0 = nil } }

    /// Throws ``SendFailure``, so that the host tries again, while no connection is open.
    func write(_ line: String) async throws {
        guard let write = writer.value else { throw SendFailure("not connected", .later(after: nil)) }
        try await write(line)
    }
}

public struct LineSettings: Sendable {
    public var host: String
    public var port: Int
    public var security: TCPConnector.Security

    public init(_ section: SettingsSection) {
        host = section.requiredString("host")
        port = section.integer("port", default: 7000, in: 1...65_535)
        let authorities = section.file("ca_cert")
        security = section.bool("tls", default: true) ? .tls(trusting: authorities) : .unencrypted
        section.finish()
    }
}

public struct LinePlugIn: BackendPlugIn {
    public static let kind = "line"
    public static let facts = BackendFacts(
        namesChange: true, names: NameForms { _, subject in subject == .person },
        caution: "the server does not check who uses a nick: rules that name people are not enforced")

    private let name: String
    private let settings: LineSettings

    public init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        self.name = name
        settings = LineSettings(section)
    }

    public func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
        LineBackend(name: name, settings: settings, context: context)
    }
}
