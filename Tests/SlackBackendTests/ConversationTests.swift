import FaultSuite
import Foundation
import Logging
import NIOPosix
import PetrelCore
import PetrelKit
import PetrelTesting
import Testing

@testable import SlackBackend

/// Says what it was told, and who told it.
struct Echo: BotModule {
    static let long = (0..<3_000).map { "line \($0)" }.joined(separator: "\n")

    let name = "echo"

    var commands: [Command] {
        [
            Command("echo", usage: "TEXT", summary: "Say it again.") { call in
                Reply("\(call.message.sender.name) in \(call.message.room?.name ?? "private"): \(call.arguments)")
            },
            Command("long", summary: "Much.") { _ in Reply(Self.long) },
            Command("private", summary: "Much for one.") { _ in Reply(Self.long, isPrivate: true) },
            Command("attached", summary: "An attachment.") { _ in
                Reply("done & well\n", extra: ["slack": ["color": "good", "fields": [["title": "a", "short": true]]]])
            },
            Command("blocks", summary: "Blocks.") { _ in
                Reply("plain", extra: ["slack": ["blocks": [["type": "divider"]]]])
            },
            Command("started", summary: "Begin.") { _ in Reply("It has begun.", kind: .acknowledgement) },
            Command("secret", summary: "For administrators.", isAdminOnly: true) { _ in Reply("never") },
            Command("bold", summary: "Say it in markdown.") { Reply("**\($0.arguments)**", style: .markdown) },
        ]
    }
}

@Suite(.timeLimit(.minutes(3))) struct ConversationTests {
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

    @Test func `a refusal is seen by who asked only`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!secret")
                let answer = try await workspace.message()
                #expect(answer["ephemeral"] == true && answer["user"] == "U1" && answer["channel"] == "C1")
            }
        }
    }

    @Test
    func `names are asked for only where somebody wants something, and without one a rule that denies names holds`()
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
                        "goes by names, and that of U2 cannot be had at the moment; please try again later.") == true)
                try await workspace.say("!echo hello", user: "U1")
                #expect(try await workspace.message(after: 1)["text"] == "@alice in #ops: hello")
                let asked = try await workspace.calls(of: "users.info").map { $0["user"] }
                #expect(asked == ["U2", "U1"])
            }
        }
    }

    @Test func `somebody is reached by name`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm(channels: ["@bob", "@nobody"], count: 3)
            try await workspace.chat([storm]) { workspace in
                storm.begins.open()
                let channels = try await workspace.messages(3).map { $0["channel"]?.string }
                #expect(channels == ["D2", "D2", "D2"])
                #expect(try await workspace.calls("users.list") == 2)
            }
        }
    }

    @Test func `long output comes as a file, and what StackStorm adds comes as it was meant`() async throws {
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

    @Test func `what is for one person stays with them, however long it is`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!private", user: "U2")
                let answer = try await workspace.message()
                #expect(answer["file"] == "petrel.txt" && answer["channel"] == "D2")
            }
        }
    }

    @Test func `a slash command is what the same line with the prefix is`() async throws {
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
                let texts = try await workspace.messages(2).map { $0["text"]?.string }
                #expect(Set(texts) == ["@alice in #ops: end", "@alice in #ops: mentioned"])
            }
        }
    }

    @Test func `an emoji can stand for the acknowledgement`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], change: { $0.ackReaction = "eyes" }) { workspace in
                let time = try await workspace.say("!started")
                try await workspace.say("!echo end")
                let answer = try await workspace.message()
                #expect(answer["text"] == "@alice in #ops: end")
                let reaction = try await workspace.calls(of: "reactions.add").first
                #expect(reaction == ["channel": "C1", "timestamp": .string(time), "name": "eyes"])
            }
        }
    }

    @Test func `what Slack repeats after a restart does not run again`() async throws {
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

    @Test func `what is no envelope costs nothing but itself`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                let garbage = [
                    "", "no json", "[]", "{}", "{\"type\":7}", "{\"type\":\"events_api\"}",
                    "{\"type\":\"events_api\",\"envelope_id\":\"x\"}",
                    "{\"type\":\"of the future\",\"envelope_id\":\"y\",\"payload\":{}}",
                    "{\"type\":\"slash_commands\",\"envelope_id\":\"z\",\"payload\":{\"command\":\"/\"}}",
                    "{\"type\":\"events_api\",\"envelope_id\":\"w\",\"payload\":{\"event\":{\"type\":\"message\",\"text\":\""
                        + String(repeating: "x", count: 5 << 20) + "\"}}}",
                ]
                for text in garbage { try await workspace.order("raw", ["text": .string(text)]) }
                try await workspace.say("!echo still there")
                #expect(try await workspace.message()["text"] == "@alice in #ops: still there")
            }
        }
    }

    @Test func `no message is missed while sockets are renewed`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                for number in 0..<1_000 {
                    if number % 50 == 25 { try await workspace.order("disconnect", ["reason": "refresh_requested"]) }
                    try await workspace.say("!echo \(number)", user: number % 2 == 0 ? "U1" : "U2")
                }
                let texts = try await workspace.messages(1_000).map { $0["text"]?.string }
                #expect(texts.count == 1_000 && Set(texts).count == 1_000)
            }
        }
    }

    @Test func `the next socket is tried until it is open, while the old one lives`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.order(
                    "fault",
                    ["method": "apps.connections.open", "fault": ["error": "internal_error", "times": 2]])
                try await workspace.order("disconnect", ["reason": "warning", "takes": true])
                try await workspace.say("!echo meanwhile")
                _ = try await workspace.messages(until: "@alice in #ops: meanwhile")
                try await workspace.untilOpen(sockets: 2)
                let left = try await workspace.log().count { $0["left"] != nil }
                #expect(left == 0)
            }
        }
    }

    @Test func `all goes through the proxy of the environment, and a wrong password there is told`() async throws {
        try await Workspace.with { workspace in
            try await withFolder { folder in
                try await Proxy.run(in: folder) { proxy in
                    try await workspace.chat([Echo()]) {
                        $0.environment = ["http_proxy": proxy.url]
                    } _: { workspace in
                        try await workspace.say("!echo through")
                        #expect(try await workspace.message()["text"] == "@alice in #ops: through")
                    }
                    let address = try #require(URL(string: "ws://127.0.0.1:1/"))
                    let client = WebSocketClient(
                        on: MultiThreadedEventLoopGroup.singleton.next(),
                        proxies: ProxyEnvironment(["HTTP_PROXY": proxy.anonymous]))
                    await #expect { try await client.run(address) { _, _ in } } throws: { error in
                        "\(error)".contains("it refuses the name and the password of HTTPS_PROXY")
                    }
                }
            }
        }
    }

    @Test func `of several connections each is replaced when it ends`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], change: { $0.connections = 3 }) { workspace in
                try await workspace.order("patience", ["milliseconds": 500])
                for round in 0..<5 {
                    try await workspace.untilOpen(sockets: 3)
                    try await workspace.order("cut", ["sockets": .integer(round % 2 + 1)])
                    try await workspace.say("!echo \(round)")
                    _ = try await workspace.messages(until: "@alice in #ops: \(round)")
                }
                try await workspace.untilOpen(sockets: 3)
                #expect(try await workspace.messages(5).count == 5)
            }
        }
    }

    @Test func `whatever answers in Slack's place, nothing is lost of what was to be said`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm(channels: ["C1", "C2"], count: 3)
            try await workspace.chat([storm]) { workspace in
                let faults: [JSONValue] = [
                    ["error": "token_revoked", "times": 1, "channel": "C1"],
                    ["status": 502, "body": "<html>Bad Gateway</html>", "times": 1, "channel": "C2"],
                ]
                // One after the other: a method has one fault at a time.
                try await workspace.order("fault", ["method": "chat.postMessage", "fault": faults[0]])
                storm.begins.open()
                _ = try await workspace.messages(endingWith: "2", in: "C1")
                _ = try await workspace.messages(endingWith: "2", in: "C2")
                let lines = try await workspace.messages(2).filter { $0["channel"] == "C1" }.flatMap {
                    ($0["text"]?.string ?? "").split(separator: "\n").map(String.init)
                }
                #expect(lines == ["0", "1", "2"])
                storm.again.open()
                try await workspace.order("fault", ["method": "chat.postMessage", "fault": faults[1]])
                _ = try await workspace.messages(endingWith: "end", in: "C2")
            }
        }
    }

    @Test(
        arguments: [
            ["method": "auth.test", "fault": ["status": 502, "body": "<html>", "times": 2]],
            ["method": "apps.connections.open", "fault": ["status": 200, "body": "<html>", "times": 2]],
            ["method": "apps.connections.open", "fault": ["url": "not a url", "times": 1]],
            ["method": "link", "fault": ["error": "before the handshake", "times": 2]],
            ["method": "link", "fault": ["error": "after the handshake", "times": 2]],
            ["method": "link", "fault": ["error": "after the hello", "times": 2]],
        ] as [JSONValue]) func `the way to a socket may break at each step, and is tried again`(fault: JSONValue)
        async throws
    {
        try await Workspace.with { workspace in
            try await workspace.order("fault", fault.object ?? [:])
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!echo at last")
                _ = try await workspace.messages(until: "@alice in #ops: at last")
            }
        }
    }

    @Test func `a token that is no longer one ends the backend, with the reason`() async throws {
        try await Workspace.with { workspace in
            for (method, error) in [
                ("auth.test", "token_revoked"), ("apps.connections.open", "not_allowed_token_type"),
            ] {
                try await workspace.order("fault", ["method": .string(method), "fault": ["error": .string(error)]])
                let backend = SlackBackend(
                    name: "slack", settings: try workspace.settings,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
                await #expect {
                    try await backend.run { _ in }
                } throws: { failure in
                    let failure = failure as? BackendFailure
                    return failure?.isFinal == true && failure?.message.contains(error) == true
                }
            }
        }
    }

    @Test func `sockets that are cut cost nothing, and nothing runs twice`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.order("patience", ["milliseconds": 500])
                for number in 0..<100 {
                    if number % 25 == 12 { try await workspace.order("cut") }
                    try await workspace.say("!echo \(number)", user: number % 2 == 0 ? "U1" : "U2")
                }
                let texts = try await workspace.messages(100).map { $0["text"]?.string }
                #expect(texts.count == 100 && Set(texts).count == 100)
            }
        }
    }

    @Test func `a channel is found by its name, and the workspace is listed once`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm(channels: ["#db", "#nowhere", "#ops"], count: 5)
            try await workspace.chat([storm]) { workspace in
                storm.begins.open()
                let channels = try await workspace.messages(10).map { $0["channel"]?.string }
                #expect(Set(channels) == ["C1", "C5"] && channels.count == 10)
                // Five channels by pages of two.
                let pages = try await workspace.calls("conversations.list")
                #expect(pages == 3)
            }
        }
    }

    @Test func `a storm of 429 delays, and loses and reorders nothing`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm()
            try await workspace.chat([storm]) { workspace in
                try await workspace.order(
                    "fault",
                    [
                        "method": "chat.postMessage",
                        "fault": ["status": 429, "headers": ["Retry-After": "1"], "times": 15],
                    ])
                storm.begins.open()
                // The last of each channel.
                for channel in storm.channels { _ = try await workspace.messages(endingWith: "99", in: channel) }
                let messages = try await workspace.messages(5)
                for channel in storm.channels {
                    let lines = messages.filter { $0["channel"]?.string == channel }.flatMap { message in
                        (message["text"]?.string ?? "").split(separator: "\n").map(String.init)
                    }
                    #expect(lines == (0..<100).map { "\($0)" })
                }
                // What had to wait came together, and nobody asked before Slack had said.
                let calls = try await workspace.calls("chat.postMessage")
                #expect(calls == messages.count + 15 && messages.count < 400, "\(messages.count)")
            }
        }
    }
}

/// Announces so many times in each of its channels.
private struct Storm: BotModule {
    var channels = ["C1", "C2", "C3", "C4", "C5"]
    var count = 100
    let name = "storm"
    let commands: [Command] = []
    let begins = Signal()
    let again = Signal()

    func run(_ host: some ModuleHost) async throws {
        await begins.wait()
        for number in 0..<count {
            for channel in channels {
                let place: Address.Place = channel.hasPrefix("@") ? .direct(channel) : .room(channel)
                try host.say(Reply("\(number)"), at: Address(backend: "slack", place: place), Receipt())
            }
        }
        await again.wait()
        for channel in channels {
            try host.say(Reply("end"), at: Address(backend: "slack", place: .room(channel)), Receipt())
        }
    }
}
