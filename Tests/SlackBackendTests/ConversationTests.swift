import FaultSuite
import Foundation
import PetrelKit
import PetrelTesting
import Testing

@testable import SlackBackend

/// Says what it was told, and who told it.
private struct Echo: BotModule {
    let name = "echo"

    var commands: [Command] {
        [
            Command("echo", usage: "TEXT", summary: "Say it again.") { call in
                Reply("\(call.message.sender.name) in \(call.message.room?.name ?? "private"): \(call.arguments)")
            },
            Command("bold", summary: "Say it in markdown.") { Reply("**\($0.arguments)**", style: .markdown) },
        ]
    }
}

@Suite(.timeLimit(.minutes(1))) struct ConversationTests {
    @Test func `the stand-in is proved by Slack's own clients`() async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "prove_stand_in.py")
        try await Workspace.with { workspace in
            let proof = try await Program(
                [script.path, workspace.address], of: PythonTools.path(of: "python3"))
            let (status, output) = await proof.end()
            #expect(status == 0, "\(output)")
            #expect(output.components(separatedBy: "ok  ").count > 10)
            print(output)
        }
    }

    @Test func `a command in a channel, in a thread, by mention and in private`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!echo one &amp; <http://example.com|example.com>")
                var answer = await workspace.message("@alice in #ops: one &amp; example.com")
                #expect(answer["channel"] == "C1" && answer["thread_ts"] == nil)
                let thread = try await workspace.say("!echo two <@U2> <#C2|dev>", user: "U2", ["thread_ts": "1.5"])
                answer = await workspace.message("@bob in #ops: two @bob #dev")
                #expect(answer["thread_ts"] == "1.5" && !thread.isEmpty)
                try await workspace.say("<@U0BOT> bold three", channel: "C2")
                #expect(await workspace.message("*three*")["channel"] == "C2")
                try await workspace.say("!echo four", channel: nil)
                #expect(await workspace.message("@alice in private: four")["channel"] == "D1")
            }
        }
    }

    @Test func `each message runs once, and only what people write`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                // A mention comes twice; a repeated delivery, an edit, and other bots are left out.
                let time = try await workspace.say("<@U0BOT> echo mentioned")
                try await workspace.say("<@U0BOT> echo mentioned", ["ts": .string(time)])
                try await workspace.say("!echo edited", ["more": ["edited": ["user": "U1", "ts": "1.1"]]])
                try await workspace.say("!echo bot", ["more": ["bot_id": "B7"]])
                try await workspace.say("!echo changed", ["more": ["subtype": "message_changed"]])
                try await workspace.say("!echo end")
                _ = await workspace.message("@alice in #ops: end")
                let log = await workspace.until { _ in true }
                let texts = log["messages"]?.array?.compactMap { $0["text"]?.string } ?? []
                #expect(texts.sorted() == ["@alice in #ops: end", "@alice in #ops: mentioned"])
            }
        }
    }

    @Test func `no message is missed while sockets are renewed`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                for number in 0..<100 {
                    if number % 10 == 5 { try await workspace.order("disconnect", ["reason": "refresh_requested"]) }
                    try await workspace.say("!echo \(number)", user: number % 2 == 0 ? "U1" : "U2")
                }
                let log = await workspace.until { ($0["messages"]?.array?.count ?? 0) >= 100 }
                let texts = log["messages"]?.array?.compactMap { $0["text"]?.string } ?? []
                #expect(texts.count == 100 && Set(texts).count == 100)
            }
        }
    }
}
