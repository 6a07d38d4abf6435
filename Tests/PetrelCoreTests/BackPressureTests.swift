import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore

/// Back-pressure on backends that deliver messages faster than their commands run.
@Suite(.timeLimit(.minutes(30))) struct BackPressureTests {
    private struct Module: BotModule {
        let name = "test"
        let gate = Signal()

        var commands: [Command] {
            [
                Command("echo", summary: "") { invocation in
                    await gate.wait()
                    return Reply(invocation.arguments)
                }
            ]
        }
    }

    /// A backend that delivers all its messages without a pause, each from another person.
    private final class EagerBackend: ChatBackend {
        let name = "eager"
        let traits = BackendTraits()
        let count: Int
        let delivered = Locked(0)
        let progress = AsyncStream.makeStream(of: Int.self)
        let sent = AsyncStream.makeStream(of: String.self)

        init(_ count: Int) { self.count = count }

        func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
            for number in 0..<count {
                let sender = Person(id: "@\(number)", name: "@\(number)")
                await deliver(ChatMessage(id: "\(number)", sender: sender, text: "!echo \(number)"))
                progress.continuation.yield(
                    delivered.withLock { delivered in
                        delivered += 1
                        return delivered
                    })
            }
        }

        func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
            sent.continuation.yield(reply.text)
            return nil
        }
    }

    private static func host(_ backend: EagerBackend) throws -> TestHost {
        try TestHost(
            [backend], policy: Dispatcher.Policy(),
            limits: FairQueueLimits(limit: 1, personLimit: 1, waitingLimit: 100, backendLimit: 5))
    }

    @Test func `a backend is suspended while too many of its messages wait, and all of them are answered`() async throws
    {
        let backend = EagerBackend(50)
        let module = Module()
        let host = try Self.host(backend)
        try await host.run([module]) {
            // One command runs, five messages wait, and the seventh is held back.
            for await count in backend.progress.stream where count == 6 { break }
            for _ in 0..<1_000 { await Task.yield() }
            #expect(backend.delivered.value == 6)
            let load = host.host.dispatcher.load
            #expect(load.running == 1 && load.waiting == 5)
            module.gate.open()
            var texts: Set<String> = []
            for await text in backend.sent.stream {
                texts.insert(text)
                if texts.count == 50 { break }
            }
            #expect(texts == Set((0..<50).map { "\($0)" }))
            // The last answer may arrive before the call that delivered its message has returned.
            while backend.delivered.value < 50 { await Task.yield() }
            #expect(backend.delivered.value == 50)
        }
    }

    @Test func `a suspended backend continues when it is cancelled`() async {
        let pressure = BackPressure(limit: 1)
        pressure.added("busy")
        let waiter = Task { await pressure.wait(for: "busy") }
        waiter.cancel()
        await waiter.value
    }

    @Test func `the limit of one backend does not suspend another`() async {
        let pressure = BackPressure(limit: 2)
        for _ in 0..<2 { pressure.added("busy") }
        await pressure.wait(for: "idle")
        let waiter = Task { await pressure.wait(for: "busy") }
        pressure.removed("busy")
        await waiter.value
        await pressure.wait(for: "busy")
    }
}
