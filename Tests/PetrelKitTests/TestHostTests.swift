import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite(.timeLimit(.minutes(30))) struct TestHostTests {
    @Test func `a configuration sets the prefix, the limits, the administrators and the access rules`() async throws {
        let chat = RecordingBackend(onTimeout: { Issue.record("\($0)") })
        let host = try TestHost(
            [chat],
            configuration: [
                "bot": ["prefix": "?", "limits": ["line_bytes": 256]], "admins": ["@root"],
                "access_controls": [["command": "echo:echo*", "allowusers": ["@alice", "@root"]]],
            ])
        try await host.run([Echo()]) {
            chat.type("!echo other prefix")
            chat.type("?echo hello")
            #expect(await chat.next()?.reply.text == "hello, false")
            chat.type("?echo hello", as: "@root")
            #expect(await chat.next()?.reply.text == "hello, true")
            chat.type("?echo hello", as: "@bob")
            #expect(await chat.next()?.reply.kind == .error)
            chat.type("?echo \(String(repeating: "x", count: 256))")
            let text = try #require(await chat.next()?.reply.text)
            #expect(text.utf8.starts(with: "This line is too long".utf8))
        }
    }

    @Test func `an invalid configuration is an error that names the keys`() throws {
        let error = #expect(throws: (any Error).self) {
            try TestHost([RecordingBackend()], configuration: ["bots": [:], "admins": 1])
        }
        let text = "\(try #require(error))"
        #expect(text.contains("bots") && text.contains("admins"), "\(text)")
    }

    @Test func `the error of a case is that of its check`() async throws {
        let item = ConformanceCase("group.name", "a requirement") { _ in
            throw ConformanceFailure(expected: "r2", got: "r1")
        }
        let error = await #expect(throws: ConformanceFailure.self) {
            try await ConformanceRecorder("test").check(item) { body in try await body(RecordingStage()) }
        }
        let text = "\(try #require(error))"
        #expect(text.utf8.starts(with: "expected r2, got r1 (PetrelKitTests/TestHostTests.swift:".utf8), "\(text)")
    }
}

/// A module whose command repeats its arguments, and whether an administrator typed them.
private struct Echo: BotModule {
    let name = "echo"
    let commands = [Command("echo", summary: "Repeat a text.") { Reply("\($0.arguments), \($0.isAdmin)") }]
}
