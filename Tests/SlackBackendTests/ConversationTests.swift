import FaultSuite
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import SlackBackend

@Suite(.timeLimit(.minutes(30))) struct ConversationTests {
    @Test func `the stand-in works with Slack's own clients`() async throws {
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

    @Test func `commands work in a channel, in a thread, by mention and in a direct message`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!echo one &amp; <http://example.com|example.com>")
                var answer = try await workspace.message()
                #expect(answer["text"] == "@alice in #ops: one &amp; example.com")
                #expect(answer["channel"] == "C1" && answer["thread_ts"] == nil)
                try await workspace.say("!echo two <@U2> <#C2|dev>", user: "U2", ["thread_ts": "1.5"])
                answer = try await workspace.message(after: 1)
                #expect(answer["text"] == "@bob in #ops: two @bob #dev" && answer["thread_ts"] == "1.5")
                try await workspace.say("<@U0BOT> bold three", channel: "C2")
                answer = try await workspace.message(after: 2)
                #expect(answer["text"] == "*three*" && answer["channel"] == "C2")
                try await workspace.say("!echo four", channel: nil)
                answer = try await workspace.message(after: 3)
                #expect(answer["text"] == "@alice in private: four" && answer["channel"] == "D1")
            }
        }
    }

    @Test func `a refusal is visible only to the author of the command`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!secret")
                let answer = try await workspace.message()
                #expect(answer["ephemeral"] == true && answer["user"] == "U1" && answer["channel"] == "C1")
            }
        }
    }

    @Test
    func `names are looked up only for commands, and a rule that denies names applies if the lookup fails`()
        async throws
    {
        var limits = AccessLimits()
        limits.users.deny = GlobList(["@bob"])
        let rule = AccessRule(index: 0, command: "echo*", modules: [], limits: limits)
        let policy = Dispatcher.Policy(access: AccessControl(rules: [rule]))
        try await Workspace.with { workspace in
            try await workspace.order(
                "fault", ["method": "users.info", "fault": ["status": 500, "body": "<html>", "times": 1]])
            try await workspace.chat([Echo()], policy: policy) { workspace in
                for number in 0..<20 { try await workspace.say("just talking \(number)", user: "U1") }
                try await workspace.say("!echo who", user: "U2")
                let denial = try await workspace.message()
                #expect(denial["ephemeral"] == true && denial["user"] == "U2")
                #expect(
                    denial["text"]?.string?.hasSuffix(
                        "uses names, and the name of U2 is not available at the moment; please try again later.")
                        == true
                )
                try await workspace.say("!echo hello", user: "U1")
                #expect(try await workspace.message(after: 1)["text"] == "@alice in #ops: hello")
                let asked = try await workspace.calls(of: "users.info").map { $0["user"] }
                #expect(asked == ["U2", "U1"])
            }
        }
    }

    @Test func `a hint is logged if no events arrive`() async throws {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        let logger = Logger(label: "test") { _ in CollectingLogHandler { continuation.yield($0) } }
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], logger: logger, change: { $0.silence = .milliseconds(10) }) { _ in
                for await line in lines where line.contains("no events since startup") { break }
            }
        }
    }

    @Test func `a user can be addressed by name`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm(channels: ["@bob", "@nobody"], count: 3)
            try await workspace.chat({ [storm.module(on: $0)] }) { workspace in
                storm.begins.open()
                let channels = try await workspace.messages(3).map { $0["channel"]?.string }
                #expect(channels == ["D2", "D2", "D2"])
                #expect(try await workspace.calls("users.list") == 2)
            }
        }
    }

    @Test func `long output is sent as a file, and extra.slack is applied`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!long", ["thread_ts": "1.5"])
                var answer = try await workspace.message()
                #expect(answer["content"]?.string == Echo.long && answer["thread_ts"] == "1.5")
                try await workspace.say("!long", channel: nil)
                answer = try await workspace.message(after: 1)
                #expect(answer["channel"] == "D1" && answer["file"] == "petrel.txt")
                try await workspace.say("!attached")
                answer = try await workspace.message(after: 2)
                #expect(answer["text"] == nil && answer["attachments"]?.array?.count == 1)
                let attachment = answer["attachments"]?.array?.first
                #expect(attachment?["text"] == "done &amp; well" && attachment?["color"] == "good")
                try await workspace.say("!blocks", channel: nil)
                answer = try await workspace.message(after: 3)
                #expect(answer["text"] == "plain" && answer["blocks"]?.array?.count == 1 && answer["channel"] == "D1")
            }
        }
    }

    @Test func `long output is split if Slack rejects the file`() async throws {
        try await Workspace.with { workspace in
            try await workspace.order(
                "fault", ["method": "files.getUploadURLExternal", "fault": ["error": "missing_scope"]])
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!long")
                _ = try await workspace.messages(endingWith: "2999", in: "C1")
                let lines = try await workspace.messages(2).flatMap {
                    ($0["text"]?.string ?? "").split(separator: "\n").map(String.init)
                }
                #expect(lines == Echo.long.split(separator: "\n").map(String.init))
            }
        }
    }

    @Test func `a long private reply is sent only to its recipient`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!private", user: "U2")
                let answer = try await workspace.message()
                #expect(answer["file"] == "petrel.txt" && answer["channel"] == "D2")
            }
        }
    }

    @Test func `a slash command is equivalent to the line with the prefix`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                var payload: [String: JSONValue] = [
                    "command": "/echo", "text": "five &lt;", "user_id": "U2", "user_name": "mallory",
                    "channel_id": "C1",
                    "channel_name": "privategroup", "trigger_id": "t1",
                    "response_url": .string(workspace.address + "response"),
                ]
                try await workspace.order("deliver", ["type": "slash_commands", "payload": .object(payload)])
                var answer = try await workspace.message()
                #expect(answer["text"] == "@bob in #ops: five &lt;" && answer["response_type"] == "in_channel")
                payload["command"] = "/secret"
                payload["trigger_id"] = "t2"
                try await workspace.order("deliver", ["type": "slash_commands", "payload": .object(payload)])
                answer = try await workspace.message(after: 1)
                #expect(answer["response"] == true && answer["response_type"] == "ephemeral")
            }
        }
    }

    @Test func `each message runs once, and only messages from users run`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                // A mention is delivered twice; repeated deliveries, edits and messages from bots are ignored.
                let time = try await workspace.say("<@U0BOT> echo mentioned")
                try await workspace.say("<@U0BOT> echo mentioned", ["ts": .string(time)])
                try await workspace.say("!echo edited", ["more": ["edited": ["user": "U1", "ts": "1.1"]]])
                try await workspace.say("!echo bot", ["more": ["bot_id": "B7"]])
                for subtype in ["message_changed", "message_deleted", "bot_message", "channel_join"] {
                    try await workspace.say("!echo \(subtype)", ["more": ["subtype": .string(subtype)]])
                }
                try await workspace.say("!echo own", user: "U0BOT")
                try await workspace.say("!echo end")
                let texts = try await workspace.messages(2).map { $0["text"]?.string }
                #expect(Set(texts) == ["@alice in #ops: end", "@alice in #ops: mentioned"])
            }
        }
    }

    @Test func `an emoji can replace the text of the acknowledgement`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], change: { $0.ackReaction = "eyes" }) { workspace in
                let time = try await workspace.say("!started")
                try await workspace.say("!echo end")
                let answer = try await workspace.message()
                #expect(answer["text"] == "@alice in #ops: end")
                // No message was posted that could be updated or have buttons.
                let reaction = try await workspace.calls(of: "reactions.add").first
                #expect(reaction == ["channel": "C1", "timestamp": .string(time), "name": "eyes"])
            }
        }
    }

    @Test func `the acknowledgement is sent as text if the emoji is rejected`() async throws {
        try await Workspace.with { workspace in
            try await workspace.order(
                "fault", ["method": "reactions.add", "fault": ["error": "invalid_name", "times": 1]])
            try await workspace.chat([Echo()], change: { $0.ackReaction = "no such emoji" }) { workspace in
                try await workspace.say("!started")
                #expect(try await workspace.message()["text"] == "Started.")
            }
        }
    }

    @Test func `the text is sent without blocks that Slack rejects`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], change: { $0.slashCommands = ["/wrong"] }) { workspace in
                try await workspace.say("!wrong")
                try await workspace.order("slash", ["command": "/wrong", "user": "U2", "channel": "C3"])
                let said = try await workspace.messages(2)
                #expect(said.allSatisfy { $0["text"] == "still readable" && $0["blocks"] == nil })
            }
        }
    }

    @Test func `plain text above buttons is literal, and its URLs are links`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!pressed")
                let section = try await workspace.message()["blocks"]?.array?[0]["elements"]?.array?[0]
                #expect(
                    section?["elements"]?.array == [
                        ["type": "text", "text": "*.log at "], ["type": "link", "url": "https://example.com/a?b=1"],
                        ["type": "text", "text": " & more"],
                    ])
            }
        }
    }

    @Test func `a slow name lookup does not delay other channels`() async throws {
        try await Workspace.with { workspace in
            try await workspace.order("fault", ["method": "users.info", "fault": ["holds": true, "times": 1]])
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!echo slow", user: "U2", channel: "C1")
                _ = try await workspace.messages(until: "users.info", times: 1)
                try await workspace.say("!echo quick", user: "U1", channel: "C2")
                _ = try await workspace.message()
                try await workspace.say("!echo after", user: "U1", channel: "C1")
                try await workspace.order("release")
                let texts = try await workspace.messages(3).map { $0["text"]?.string }
                #expect(texts.first == "@alice in #dev: quick")
                // Commands of two people run at the same time.
                #expect(Set(texts.dropFirst()) == ["@bob in #ops: slow", "@alice in #ops: after"])
            }
        }
    }

    @Test func `after a slash command that is no command itself, an unknown command is named by its own word`()
        async throws
    {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], change: { $0.slashCommands = ["/bot"] }) { workspace in
                let texts = [
                    "ech x": "Unknown command “ech”. Did you mean `/bot echo`? `/bot help` lists the commands.",
                    "nosuch": "Unknown command “nosuch”. `/bot help` lists the commands.",
                    "": "`/bot` needs a command; `/bot help` lists the commands.",
                ]
                for (count, text) in texts.keys.sorted().enumerated() {
                    try await workspace.order(
                        "slash", ["command": "/bot", "text": .string(text), "user": "U2", "channel": "C3"])
                    #expect(try await workspace.message(after: count)["text"]?.string == texts[text])
                }
            }
        }
    }

    @Test func `a slash command that is not configured is answered`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.order("slash", ["command": "/other", "user": "U2", "channel": "C3"])
                let answer = try await workspace.message()
                #expect(answer["response_type"] == "ephemeral" && answer["user"] == "U2")
                #expect(answer["text"]?.string?.contains("Unknown command /other") == true)
            }
        }
    }

    @Test func `a message that is delivered again after a restart does not run again`() async throws {
        let store = try TestStore()
        try await Workspace.with { workspace in
            for run in 0..<3 {
                try await workspace.chat([Echo()], store: store) { workspace in
                    try await workspace.say("!echo once", ["ts": "1.000001"])
                    try await workspace.say("!echo \(run)")
                    let said = try await workspace.messages(until: "@alice in #ops: \(run)")
                    #expect(said.count { $0["text"] == "@alice in #ops: once" } == 1)
                }
            }
        }
    }

    @Test func `a channel can be addressed by name, and channels are listed once`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm(channels: ["#db", "#nowhere", "#ops"], count: 5)
            try await workspace.chat({ [storm.module(on: $0)] }) { workspace in
                storm.begins.open()
                let channels = try await workspace.messages(10).map { $0["channel"]?.string }
                #expect(Set(channels) == ["C1", "C5"] && channels.count == 10)
                // The five channels of the bot in pages of two, without the other channels of the workspace.
                let pages = try await workspace.calls("users.conversations")
                #expect(pages == 3)
            }
        }
    }

    @Test func `a message that arrives hours late is not run, and its author is notified`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                let late = "\(Int(Date.now.timeIntervalSince1970) - 7_200).000001"
                for text in ["just talking", "!echo late", "!echo later"] {
                    try await workspace.say(
                        text, user: "U2", ["ts": .string(late.replacing("000001", with: "00000\(text.count)"))])
                }
                try await workspace.say("!echo now")
                let said = try await workspace.messages(2)
                #expect(said.count { $0["ephemeral"] == true && $0["user"] == "U2" } == 1)
                #expect(said.contains { $0["text"] == "@alice in #ops: now" })
            }
        }
    }

    @Test(
        arguments: [
            ["type": "channel_rename", "channel": ["id": "C1", "name": "secret"]],
            ["type": "group_rename", "channel": ["id": "C1", "name": "secret"]],
            ["type": "user_change", "user": ["id": "U1", "name": "eve", "profile": ["display_name": "eve"]]],
        ] as [JSONValue]) func `a rename takes effect immediately`(event: JSONValue) async throws
    {
        var limits = AccessLimits()
        limits.rooms.allow = GlobList(["#ops"])
        limits.users.allow = GlobList(["@alice"])
        let rule = AccessRule(index: 0, command: "echo*", modules: [], limits: limits)
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], policy: Dispatcher.Policy(access: AccessControl(rules: [rule]))) {
                workspace in
                try await workspace.say("!echo one")
                #expect(try await workspace.message()["text"] == "@alice in #ops: one")
                let payload: JSONValue = ["type": "event_callback", "event_id": "Ev9", "event": event]
                try await workspace.order("deliver", ["type": "events_api", "payload": payload])
                _ = try await workspace.acknowledgements(2)
                try await workspace.say("!echo two")
                #expect(try await workspace.message(after: 1)["ephemeral"] == true)
            }
        }
    }
}
