import Foundation
import NIOCore
import NIOPosix

/// A name server on loopback that serves only SRV records (RFC 1035, RFC 2782).
enum NameServer {
    typealias Record = (priority: Int, weight: Int, port: Int, target: String)

    /// - Parameter body: receives the port.
    static func run(_ records: [String: [Record]], _ body: (UInt16) async throws -> Void) async throws {
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answers(records))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(UInt16(channel.localAddress?.port ?? 0)))
        } catch {
            result = .failure(error)
        }
        try await channel.close()
        try result.get()
    }

    private final class Answers: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>

        private let records: [String: [Record]]

        init(_ records: [String: [Record]]) { self.records = records }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            guard let answer = answer(to: Array(envelope.data.readableBytesView)) else { return }
            context.writeAndFlush(
                wrapOutboundOut(
                    AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer))),
                promise: nil)
        }

        private func answer(to query: [UInt8]) -> [UInt8]? {
            guard query.count > 16 else { return nil }
            var (name, index): ([String], Int) = ([], 12)
            while query.indices.contains(index), query[index] != 0 {
                let end = index + 1 + Int(query[index])
                guard end < query.count else { return nil }
                name.append(String(decoding: query[index + 1..<end], as: UTF8.self))
                index = end
            }
            let question = query[12..<min(index + 5, query.count)]
            let found = records[name.joined(separator: ".")] ?? []
            // Flags of a response; without records, NXDOMAIN.
            var answer = query[0..<2] + [0x85, found.isEmpty ? 0x83 : 0x80, 0, 1] + Self.bytes(found.count)
            answer += [0, 0, 0, 0] + question
            for record in found {
                let target = record.target.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
                let data =
                    Self.bytes(record.priority) + Self.bytes(record.weight) + Self.bytes(record.port) + target + [0]
                answer += [0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60] + Self.bytes(data.count) + data
            }
            return Array(answer)
        }

        private static func bytes(_ number: Int) -> [UInt8] { [UInt8(number >> 8 & 255), UInt8(number & 255)] }
    }
}
