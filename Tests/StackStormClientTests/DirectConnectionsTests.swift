import NIOCore
import NIOHTTP1
import NIOPosix
import PetrelKit
import PetrelSupport
import Testing

@testable import StackStormClient

@Suite(.timeLimit(.minutes(30))) struct DirectConnectionsTests {
    private static func pool(
        _ port: Int, host: String = "127.0.0.1", answer: TimeAmount = .seconds(600), body: Int = 1_000
    ) -> DirectConnections {
        DirectConnections(
            host: host, port: port, tls: nil, limits: .init(answer: answer, connect: .seconds(60), body: body),
            on: MultiThreadedEventLoopGroup.singleton.next())
    }

    private static let request = HTTPRequestHead(
        version: .http1_1, method: .GET, uri: "/", headers: ["Host": "localhost"])

    private static func ok(_ body: String, _ headers: String = "") -> String {
        "HTTP/1.1 200 OK\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private static func text(_ pool: DirectConnections) async throws -> String {
        String(decoding: try await pool.send(request, nil).body, as: UTF8.self)
    }

    private static func expect(
        _ expected: String, from pool: DirectConnections, location: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await text(pool)
        #expect(answer == expected, sourceLocation: location)
    }

    private static func failure(of pool: DirectConnections) async -> StackStormError.Code? {
        do {
            _ = try await pool.send(request, nil)
            return nil
        } catch {
            return (error as? StackStormError)?.code
        }
    }

    @Test func `a connection serves one request after the other`() async throws {
        try await WireServer.run(answer: { .text(Self.ok("\($0)")) }) { server, port in
            let pool = Self.pool(port)
            for number in 1...5 { try await Self.expect("\(number)", from: pool) }
            #expect(server.connections == 1)
        }
    }

    @Test func `a response with Connection close is followed by a new connection`() async throws {
        try await WireServer.run(answer: { .text(Self.ok("\($0)", "Connection: close\r\n")) }) { server, port in
            let pool = Self.pool(port)
            for number in 1...2 { try await Self.expect("\(number)", from: pool) }
            #expect(server.connections == 2)
            await server.reached(closed: 2)
        }
    }

    @Test func `an idle connection that the server has closed is not used again`() async throws {
        try await WireServer.run(answer: { .last(Self.ok("\($0)")) }) { server, port in
            let pool = Self.pool(port)
            for number in 1...3 {
                try await Self.expect("\(number)", from: pool)
                await server.reached(closed: number)
            }
        }
    }

    @Test func `at most 64 requests are in progress, and the others wait`() async throws {
        let release = Signal()
        try await WireServer.run(answer: { .after(release, Self.ok("\($0)")) }) { server, port in
            let pool = Self.pool(port)
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 1...100 { group.addTask { try await Self.text(pool) } }
                await server.reached(requests: 64)
                release.open()
                var answers: Set<String> = []
                for try await answer in group { answers.insert(answer) }
                #expect(answers.count == 100)
            }
            #expect(server.connections == 64)
        }
    }

    @Test func `a request that is cancelled while it waits is never sent`() async throws {
        let release = Signal()
        try await WireServer.run(answer: { .after(release, Self.ok("\($0)")) }) { server, port in
            let pool = Self.pool(port)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 1...64 { group.addTask { _ = try await Self.text(pool) } }
                await server.reached(requests: 64)
                let late = (1...100).map { _ in Task { try await Self.text(pool) } }
                for task in late { task.cancel() }
                for task in late { await #expect(throws: CancellationError.self) { try await task.value } }
                release.open()
                try await group.waitForAll()
            }
            try await Self.expect("65", from: pool)
        }
    }

    @Test func `a connection that is lost in the middle of a response leaves the outcome unknown`()
        async throws
    {
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
        let answers: [WireServer.Answer] = [.reset, .last(half), .last("HTTP/1.1 2"), .text("What is that?\r\n\r\n")]
        try await WireServer.run(answer: { answers[$0 - 1] }) { server, port in
            let pool = Self.pool(port)
            for _ in answers {
                // The error must not say that nothing was sent.
                await #expect { try await pool.send(Self.request, nil) } throws: { !($0 is StackStormError) }
            }
            await server.reached(closed: answers.count)
            #expect(server.requests == answers.count)
        }
    }

    @Test func `a body beyond the limit is rejected, even in chunks`() async throws {
        let pieces = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + "4\r\nbody\r\n4\r\nbody\r\n0\r\n\r\n"
        let answers = [Self.ok("12345"), Self.ok("123456789"), pieces]
        try await WireServer.run(answer: { .text(answers[$0 - 1]) }) { server, port in
            let pool = Self.pool(port, body: 5)
            try await Self.expect("12345", from: pool)
            for _ in 1...2 {
                await #expect(throws: NIOTooManyBytesError.self) { try await pool.send(Self.request, nil) }
            }
            await server.reached(closed: 2)
        }
    }

    @Test func `a late response is ignored and its connection is closed`() async throws {
        let release = Signal()
        try await WireServer.run(answer: { $0 == 1 ? .after(release, Self.ok("1")) : .text(Self.ok("2")) }) {
            server, port in
            let pool = Self.pool(port, answer: .seconds(3))
            #expect(await Self.failure(of: pool) == .noAnswer)
            await server.reached(closed: 1)
            release.open()
            // A machine that stands still may exceed the limit again.
            var text: String?
            for _ in 0..<10 where text == nil { text = try? await Self.text(pool) }
            #expect(text == "2")
        }
    }

    @Test func `a cancelled call returns at once`() async throws {
        try await WireServer.run(answer: { _ in .nothing }) { server, port in
            let pool = Self.pool(port)
            let task = Task { try await Self.text(pool) }
            await server.reached(requests: 1)
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            await server.reached(closed: 1)
        }
    }

    @Test func `a closed port and an unknown host name are unreachable`() async throws {
        var closed = 0
        try await WireServer.run(answer: { _ in .nothing }) { _, port in closed = port }
        // Failed attempts must not count as open connections. A name server may take seconds to respond.
        for (pool, times) in [(Self.pool(closed), 70), (Self.pool(80, host: "no-such-host.invalid"), 3)] {
            for _ in 1...times {
                #expect(await Self.failure(of: pool) == .unreachable)
            }
        }
    }

    @Test func `a header with a line break is never sent`() async throws {
        try await WireServer.run(answer: { .text(Self.ok("\($0)")) }) { server, port in
            let pool = Self.pool(port)
            var request = Self.request
            request.headers.add(name: "X-Auth-Token", value: "a\r\nX-Injected: b")
            let head = request
            await #expect(throws: HTTPParserError.self) { try await pool.send(head, nil) }
            try await Self.expect("1", from: pool)
        }
    }

    @Test func `giving up a completed request does not close the connection of the next one`()
        async throws
    {
        try await WireServer.run(answer: { .text(Self.ok("\($0)")) }) { server, port in
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let ready = loop.makePromise(of: (any Channel).self)
            let first = Exchange(head: Self.request, body: nil, limit: 1_000)
            let second = Exchange(head: Self.request, body: nil, limit: 1_000)
            let channel = try await ClientBootstrap(group: loop).channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    // At this moment, the connection is free for the next request, and the first caller gives up.
                    try pipeline.addHandler(
                        ConnectionHandler(isEncrypted: false, ready) { _ in first.giveUp(.cancelled) })
                }
            }.connect(host: "127.0.0.1", port: port).get()
            #expect(try await Self.text(first, on: channel) == "1")
            #expect(try await Self.text(second, on: channel) == "2")
            #expect(server.connections == 1)
            _ = try await ready.futureResult.get()
            try await channel.close()
        }
    }

    private static func text(_ exchange: Exchange, on channel: any Channel) async throws -> String {
        let answer: StackStormResponse = try await withCheckedThrowingContinuation { continuation in
            guard exchange.begin(continuation), exchange.attach(channel) else { return }
            channel.writeAndFlush(exchange).whenFailure { exchange.finish(.failure($0)) }
        }
        return String(decoding: answer.body, as: UTF8.self)
    }
}
