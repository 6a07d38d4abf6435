import Logging
import NIOCore
import NIOPosix
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
        let channel = try await ClientBootstrap(group: context.loop.eventLoop)
            .connect(host: settings.host, port: settings.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
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
        for line in reply.text.split(separator: "\n") {
            try await outgoing.write("\(address.place.id) \(line)")
        }
        return nil
    }
}

/// Cuts bytes into lines, and lines into messages. It holds at most one line of 64 KiB.
struct LineParser {
    private static let longest = 65_536
    private var rest: [UInt8] = []
    private var count = 0

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

    private mutating func message(_ line: String) -> ChatMessage? {
        let (channel, text) = line.firstWord
        let (nick, command) = text.firstWord
        guard !command.isEmpty else { return nil }
        count += 1
        return ChatMessage(
            id: "\(count)", sender: Person(id: nick, name: "@\(nick)", isStable: false),
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

    public init(_ section: SettingsSection) {
        host = section.string("host", default: "127.0.0.1")
        port = section.integer("port", default: 7000, in: 1...65_535)
        section.finish()
    }
}

public struct LinePlugIn: BackendPlugIn {
    public static let kind = "line"
    public static let facts = BackendFacts(
        namesChange: true, names: NameForms { text, subject in subject == .person || text.hasPrefix("#") },
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
