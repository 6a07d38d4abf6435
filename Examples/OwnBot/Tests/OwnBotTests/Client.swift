import NIOCore
import NIOPosix
import PetrelSupport

/// A person at the socket.
struct Client {
    private let lines: AsyncThrowingStream<String, any Error>
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>

    /// Connects, sends the nick if there is one, and disconnects when the body returns.
    static func use(
        _ path: String, as nick: String?, _ body: @Sendable (Client) async throws -> Void
    ) async throws {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(unixDomainSocketPath: path) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await channel.executeThenClose { inbound, outbound in
            let (lines, continuation) = AsyncThrowingStream.makeStream(of: String.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { continuation.finish() }
                    var rest = ""
                    for try await bytes in inbound {
                        let parts = (rest + String(buffer: bytes))[...].textLines
                        for line in parts.dropLast() { continuation.yield(String(line)) }
                        rest = String(parts.last ?? "")
                    }
                }
                let client = Client(lines: lines, outbound: outbound)
                if let nick { try await client.say(nick) }
                try await body(client)
                group.cancelAll()
            }
        }
    }

    /// Sends a line.
    func say(_ line: String) async throws { try await outbound.write(ByteBuffer(string: "\(line)\n")) }

    /// Waits for the next line; nil if the connection was closed.
    func next() async throws -> String? { try await lines.first { _ in true } }
}
