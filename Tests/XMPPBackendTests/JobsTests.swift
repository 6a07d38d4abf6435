import FaultSuite
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import XMPPBackend

/// Jobs over a real XMPP server.
@Suite(.timeLimit(.minutes(30))) struct JobsTests {
    private static func run(_ body: @Sendable @escaping (XMPPServer) async throws -> Void) async throws {
        try await XMPPServer.run(.prosody) { server in
            let backend = server.backend(try server.settings())
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            try await TestHost.unhurried(backend, logger: logger).run(JobsFixture.module(on:)) {
                try await body(server)
            }
        }
    }

    @Test func `a command runs in a room, and its output is said there`() async throws {
        try await Self.run { server in
            let alice = try await server.person("alice")
            try await alice.saw("petrel")
            try alice.say("!hello 'two words'", ["thread": "t1"])
            #expect(try await alice.heard("accepted 1")["thread"] == "t1")
            let result = try await alice.heard("done")
            #expect(result["text"]?.string?.contains("hello two words") == true && result["kind"] == "groupchat")
        }
    }

    @Test func `a failure in a direct chat shows its reason and its output`() async throws {
        try await Self.run { server in
            let alice = try await server.person("alice")
            try await alice.saw("petrel")
            try alice.say("!broken", to: "petrel@localhost")
            let failure = try await alice.heard("failed: exit status 3")
            #expect(failure["text"]?.string?.contains("reason") == true && failure["kind"] == "chat")
        }
    }

    @Test func `the owner of a job follows it and cancels it, and others cannot`() async throws {
        try await Self.run { server in
            let (alice, bob) = (try await server.person("alice"), try await server.person("bob"))
            try await alice.saw("petrel")
            try await bob.saw("petrel")
            try alice.say("!slow")
            _ = try await alice.heard("accepted 1")
            try alice.say("!logs 1")
            _ = try await alice.heard("done")
            try bob.say("!cancel 1", to: "petrel@localhost")
            _ = try await bob.heard("There is no job 1 of yours")
            try alice.say("!cancel 1", to: "petrel@localhost")
            _ = try await alice.heard("failed: cancelled")
        }
    }
}
