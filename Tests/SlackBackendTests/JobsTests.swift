import FaultSuite
import PetrelKit
import PetrelSupport
import PetrelTesting
import SlackBackend
import Testing

/// Jobs over Slack: live output, and the button that cancels.
@Suite(.timeLimit(.minutes(30))) struct JobsTests {
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

    @Test func `a reply in a thread names the message, and is sent also if the thread is refused`() async throws {
        try await Workspace.with { workspace in
            let change: (inout SlackSettings) -> Void = { $0.slashCommands = ["/threaded"] }
            try await workspace.chat(JobsFixture.module(on:), change: change) { workspace in
                let asked = try await workspace.say("!threaded true")
                let below = try await workspace.message()
                #expect(below["text"] == "below" && below["thread_ts"]?.string == asked && !asked.isEmpty)
                try await workspace.say("!threaded true", ["thread_ts": "1.5"])
                #expect(try await workspace.message(after: 1)["thread_ts"] == "1.5")
                // A slash command is no message, and so has no thread.
                let slash: [String: JSONValue] = ["user": "U1", "channel": "C1", "command": "/threaded"]
                try await workspace.order("slash", slash.merging(["text": "true"]) { $1 })
                let answer = try await workspace.message(after: 2)
                #expect(answer["text"] == "below" && answer["response"] == true && answer["thread_ts"] == nil)
                // Slack refuses a thread that is not a timestamp.
                try await workspace.say(#"!threaded '"no thread"'"#)
                let outside = try await workspace.message(after: 3)
                #expect(outside["text"] == "below" && outside["thread_ts"] == nil)
                #expect(try await workspace.calls(of: "chat.postMessage").contains { $0["thread_ts"] == "no thread" })
                try await workspace.order("slash", slash.merging(["text": #"'"no thread"'"#]) { $1 })
                let last = try await workspace.message(after: 4)
                #expect(last["text"] == "below" && last["response"] == true && last["thread_ts"] == nil)
                try await workspace.say(#"!threaded '""'"#, ["thread_ts": "1.5"])
                let none = try await workspace.message(after: 5)
                #expect(none["text"] == "below" && none["thread_ts"] == nil)
            }
        }
    }

    @Test func `after a crash, the confirmation of a job loses its button`() async throws {
        try await Workspace.with { workspace in
            let store = try TestStore()
            try await workspace.chat(JobsFixture.module(on:), store: store) { workspace in
                try await workspace.say("!slow")
                let live = try await workspace.messages(until: "chat.update", times: 2)[0]
                #expect(Self.content(live).contains("Cancel\""))
                let later = try await JobsFixture.afterCrash(store)
                try await workspace.chat(JobsFixture.module(on:), store: later) { workspace in
                    while true {
                        let edits = try await workspace.calls(of: "chat.update").map(Self.content)
                        if let last = edits.first(where: { $0.contains("accepted 1\\nJob 1: Killed after") }) {
                            #expect(!last.contains("Cancel"))
                            break
                        }
                        _ = try await workspace.messages(until: "chat.update", times: edits.count + 1)
                    }
                }
            }
        }
    }

    @Test func `the confirmation shows the last lines, and its button cancels`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat(JobsFixture.module(on:)) { workspace in
                try await workspace.say("!slow")
                // An edit shows the first line, and another one both; on a slow machine there may be one only.
                let live = try await workspace.messages(1, with: "two")[0]
                #expect(Self.content(live).contains("step two") && Self.content(live).contains("Cancel"))
                try await workspace.order("press", ["user": "U2", "label": "Cancel"])
                let refusal = try await workspace.messages(2)
                #expect(Self.content(refusal[1]).contains("There is no job 1 of yours"))
                try await workspace.order("press", ["user": "U1", "label": "Cancel"])
                let messages = try await workspace.messages(4)
                let all = messages.map(Self.content).joined()
                #expect(all.contains("Issued command cancellation to job 1") && all.contains("alice failed: cancelled"))
                let final = try await workspace.messages(1, with: "Killed")[0]
                #expect(
                    Self.content(final).contains("Job 1: Killed after") && !Self.content(final).contains("Cancel\""))
            }
        }
    }
}
