import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore

/// Limits that are checked before a line is processed.
@Suite(.timeLimit(.minutes(30))) struct LimitTests {
    private struct Module: BotModule {
        let name = "test"
        let ran = Locked<[String]>([])

        var commands: [Command] {
            [
                Command("echo", summary: "", masking: { $0 }) { invocation in
                    ran.withLock { $0.append(invocation.arguments) }
                    return Reply("ran \(invocation.arguments.utf8.count)")
                }
            ]
        }
    }

    private static func run<Value: Sendable>(
        _ change: (inout LineLimits) -> Void = { _ in }, traits: BackendTraits = BackendTraits(),
        _ body: @Sendable (RecordingBackend, Module, TestHost) async throws -> Value
    ) async throws -> Value {
        var policy = Dispatcher.Policy()
        change(&policy.limits)
        let backend = RecordingBackend(traits: traits)
        let module = Module()
        let host = try TestHost([backend], policy: policy)
        return try await host.run([module]) { try await body(backend, module, host) }
    }

    @Test(arguments: [
        String(repeating: "x", count: 230_000), String(repeating: " k=v", count: 50_000),
        String(repeating: "é", count: 10_000), String(repeating: "\u{301}", count: 20_000),
        String(repeating: "\r\n", count: 20_000) + "x", (0..<9_000).map { " k\($0)=v" }.joined(),
    ]) func `a line that is too long is rejected before it is processed, with a reply`(rest: String) async throws {
        try await Self.run { backend, module, host in
            backend.type("!echo \(rest)")
            let reply = await backend.next()?.reply
            #expect(reply?.text.hasPrefix("This line is too long: it has \("!echo \(rest)".utf8.count) bytes") == true)
            #expect(reply?.kind == .error)
            // A sender who did not address the bot gets no reply.
            backend.type("hello \(rest)")
            backend.type("!echo short")
            #expect(await backend.next()?.reply.text == "ran 5")
            #expect(module.ran.value == ["short"])
            #expect(host.audit.all.map(\.line) == ["echo short"])
        }
    }

    @Test func `a line that is too long with what a module puts in place of its beginning is rejected`() async throws {
        struct Expander: BotModule, LineExpanding {
            let name = "expander"
            let commands: [Command] = []

            func expanded(_ line: String, for caller: CommandCaller) -> String? {
                let (word, rest) = line.firstWord
                return word == "long" ? "echo \(String(repeating: "x", count: 9_000)) \(rest)" : nil
            }
        }
        let backend = RecordingBackend()
        let module = Module()
        let host = try TestHost([backend])
        try await host.run([module, Expander()]) {
            backend.type("!long \(String(repeating: "y", count: 9_000))")
            #expect(await backend.next()?.reply.text.hasPrefix("This line is too long: it has 18006 bytes") == true)
            backend.type("!long \(String(repeating: " k=v", count: 201))")
            #expect(await backend.next()?.reply.text.hasPrefix("This line has 201 name=value pairs") == true)
            backend.type("!long y")
            #expect(await backend.next()?.reply.text == "ran 9002")
        }
        #expect(host.audit.all.count == 1)
    }

    @Test func `the permitted number of pairs runs, and one more does not`() async throws {
        try await Self.run { backend, _, _ in
            let pairs = (0..<200).map { " k\($0)=v" }.joined()
            backend.type("!echo\(pairs)")
            #expect(await backend.next()?.reply.text.hasPrefix("ran ") == true)
            backend.type("!echo\(pairs) one=more")
            #expect(await backend.next()?.reply.text.hasPrefix("This line has 201 name=value pairs") == true)
        }
    }

    @Test func `names that are too long are rejected as well`() async throws {
        try await Self.run { backend, _, _ in
            backend.type("!echo short", thread: String(repeating: "t", count: 5_000))
            #expect(
                await backend.next()?.reply.text.hasPrefix("The names of the person, the room and the thread") == true)
            backend.type("!echo short", in: "#" + String(repeating: "é", count: 1_000), thread: "t")
            #expect(await backend.next()?.reply.text == "ran 5")
        }
    }

    @Test func `the answers of a form count with its line`() async throws {
        try await Self.run { backend, module, _ in
            backend.type("!echo x", values: ["a": String(repeating: "x", count: 17_000)])
            #expect(await backend.next()?.reply.text.hasPrefix("This line is too long") == true)
            #expect(module.ran.value.isEmpty)
        }
    }

    @Test func `a user who sends too many lines is told once, and others are not delayed`() async throws {
        var found = (texts: [String](), ran: [String](), audited: 0, time: Duration.zero)
        repeat {
            found = try await Self.run({ $0.perMinute = 2 }) { backend, module, host in
                let start = ContinuousClock.now
                for number in 0..<50 { backend.type("!echo \(number)") }
                backend.type("!echo other", as: "@bob")
                var texts: [String] = []
                for _ in 0..<4 { texts.append(await backend.next()?.reply.text ?? "") }
                return (texts, module.ran.value, host.audit.all.count, .now - start)
            }
            // One more is permitted after half a minute, so that a machine that stood still has to try again.
        } while found.time > .seconds(29)
        #expect(found.texts.count { $0.hasPrefix("You have sent more than 2 lines in a minute") } == 1)
        #expect(found.ran.count == 3 && found.ran.contains("other"), "\(found.ran)")
        #expect(found.audited == 3)
    }

    @Test func `the number of permitted lines recovers with time`() {
        var rate = LineRate()
        let start = ContinuousClock.now
        for _ in 0..<10 { #expect(rate.take("a", perMinute: 10, at: start) == .taken) }
        #expect(rate.take("a", perMinute: 10, at: start) == .refused(isFirst: true))
        #expect(rate.take("a", perMinute: 10, at: start) == .refused(isFirst: false))
        #expect(rate.take("b", perMinute: 10, at: start) == .taken)
        #expect(rate.take("a", perMinute: 10, at: start + .seconds(7)) == .taken)
        // The user was told and has not paused.
        #expect(rate.take("a", perMinute: 10, at: start + .seconds(7)) == .refused(isFirst: false))
        for _ in 0..<10 { #expect(rate.take("a", perMinute: 10, at: start + .seconds(70)) == .taken) }
    }

    @Test func `the audit log has one entry for repeated commands`() async throws {
        try await Self.run { backend, _, host in
            for _ in 0..<5 { backend.type("!echo same") }
            backend.type("!echo other")
            backend.type("!echo same", as: "@bob")
            for _ in 0..<7 { _ = await backend.next() }
            #expect(host.audit.all.map(\.line) == ["echo same", "echo other", "echo same"])
            #expect(host.audit.all.map(\.repeats) == [4, 0, 0])
        }
    }
}
