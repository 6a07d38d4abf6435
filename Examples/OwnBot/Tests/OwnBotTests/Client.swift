import NIOCore
import NIOPosix
import PetrelSupport

/// A person at the socket.
struct Client: Sendable {
    private let channel: any Channel
    private let lines = Mailbox<String>()

    /// Connects, sends the nick if there is one, and disconnects when the body returns.
    static func use(_ path: String, as nick: String?, _ body: (Client) async throws -> Void) async throws {
        let client = try await Client(path)
        defer { client.close() }
        if let nick {
            client.say(nick)
            // The welcome.
            _ = await client.next()
        }
        try await body(client)
    }

    /// Connects.
    init(_ path: String) async throws {
        let lines = lines
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(LineReader(lines))
                }
            }
            .connect(unixDomainSocketPath: path).get()
    }

    /// Sends a line, without waiting until the bot reads it.
    func say(_ line: String) { channel.writeAndFlush(ByteBuffer(string: "\(line)\n"), promise: nil) }

    /// Waits for the next line; nil if the connection was closed.
    func next() async -> String? { await lines.next() }

    /// Disconnects.
    func close() { channel.close(promise: nil) }
}

/// Puts the lines that a client receives into a mailbox.
private final class LineReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let lines: Mailbox<String>
    private var rest = ByteBuffer()

    init(_ lines: Mailbox<String>) { self.lines = lines }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        rest.writeBuffer(&bytes)
        while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            lines.put(String(decoding: rest.readableBytesView[..<end], as: UTF8.self))
            rest.moveReaderIndex(to: end + 1)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { lines.finish() }
}
