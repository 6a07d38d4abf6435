import FaultSuite
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// Jobs over Slack: live output, and the button that cancels.
@Suite(.timeLimit(.minutes(10))) struct JobsTests {
    /// Returns all texts and labels of a message.
    private static func content(_ message: JSONValue) -> String { message.prettyText }

    @Test func `a command is confirmed, and its output follows in a fence`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat(JobsFixture.module(on:)) { workspace in
                try await workspace.say("!hello “two words” &amp;")
                let messages = try await workspace.messages(2)
                #expect(Self.content(messages[0]).contains("accepted 1"))
                #expect(Self.content(messages[1]).contains("alice done"))
                #expect(Self.content(messages[1]).contains("hello two words &"))
            }
        }
    }

    @Test func `a failure shows its reason and its output`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat(JobsFixture.module(on:)) { workspace in
                try await workspace.say("!broken", ["thread_ts": "1.5"])
                let failure = try await workspace.messages(2)[1]
                #expect(failure["thread_ts"] == "1.5")
                #expect(Self.content(failure).contains("alice failed: exit status 3"))
                #expect(Self.content(failure).contains("reason") && Self.content(failure).contains("danger"))
            }
        }
    }

    @Test func `the confirmation shows the last lines, and its button cancels`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat(JobsFixture.module(on:)) { workspace in
                try await workspace.say("!slow")
                // The first edit shows the first line, the second one both.
                let live = try await workspace.messages(until: "chat.update", times: 2)[0]
                #expect(Self.content(live).contains("step two") && Self.content(live).contains("Cancel"))
                try await workspace.order("press", ["user": "U2", "label": "Cancel"])
                let refusal = try await workspace.messages(2)
                #expect(Self.content(refusal[1]).contains("There is no job 1 of yours"))
                try await workspace.order("press", ["user": "U1", "label": "Cancel"])
                let messages = try await workspace.messages(4)
                let all = messages.map(Self.content).joined()
                #expect(all.contains("Issued command cancellation to job 1") && all.contains("alice failed: cancelled"))
                let final = try await workspace.messages(until: "chat.update", times: 3)[0]
                #expect(
                    Self.content(final).contains("Job 1: Killed after") && !Self.content(final).contains("Cancel\""))
            }
        }
    }
}
