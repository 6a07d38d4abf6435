import FaultSuite
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormModule
import StackStormSimulator
import Testing

@testable import SlackBackend

/// Tests of users on a simulated Slack workspace with a simulated StackStorm.
@Suite(.timeLimit(.minutes(30))) struct StackStormTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private struct House: Sendable {
        let workspace: Workspace
        let stackStorm: SimulatedStackStorm
        let desk: TestDesk
    }

    private static func run(
        page: URL? = nil, policy: Dispatcher.Policy = Dispatcher.Policy(),
        grace: Duration = .seconds(20), change: @Sendable @escaping (inout SlackSettings) -> Void = { _ in },
        _ body: @Sendable @escaping (House) async throws -> Void
    ) async throws {
        try await Workspace.with { workspace in
            try await SimulatedHouse.run(page: page) {
                $0.gracePeriod = grace
            } _: { simulated in
                let house = House(workspace: workspace, stackStorm: simulated.stackStorm, desk: simulated.desk)
                try await workspace.chat({ [try simulated.module($0)] }, policy: policy) { settings in
                    settings.slashCommands = ["/st2"]
                    change(&settings)
                } _: { _ in
                    await house.stackStorm.untilHeard()
                    // Slack allows three seconds, which may be too short on a slow test machine.
                    try await workspace.order("triggers", ["seconds": 600])
                    try await body(house)
                }
            }
        }
    }

    private static func labels(_ message: JSONValue) -> [String] {
        (message["blocks"]?.array ?? []).flatMap { $0["elements"]?.array ?? [] }.compactMap {
            $0["text"]?["text"]?.string
        }
    }

    @Test func `help works, and the result of a command in a thread is sent to that thread`() async throws {
        try await Self.run { house in
            try await house.workspace.say("!st2help fleet")
            #expect(try await house.workspace.message()["text"]?.string?.contains("restart") == true)
            try await house.workspace.say("!st2 restart nginx on web1", ["thread_ts": "1.5"])
            var messages = try await house.workspace.messages(3)
            // When the execution has ended, the acknowledgement says so and has no button for cancelling.
            messages = try await house.workspace.messages(until: "chat.update", times: 1)
            #expect(
                messages[1]["text"]?.string?.firstMatch(of: /^Restarting nginx\. \S+ \(ended after \d+ s\)$/) != nil)
            #expect(Self.labels(messages[1]) == ["Output", "Re-run"])
            #expect(messages[2]["text"] == "nginx restarted on 1 host.")
            #expect(messages[1...2].allSatisfy { $0["thread_ts"] == "1.5" && $0["channel"] == "C1" })
            // StackStorm receives IDs for authorization, and no other text that a user can choose.
            let execution = try #require(await house.stackStorm.lastExecution(of: "fleet.restart"))
            #expect(execution["context"]?["api_user"] == "U1" && execution["context"]?["source_channel"] == "C1")
            let context = execution["liveaction"]?["notify"]?["on-complete"]?["data"]?["source_context"]
            #expect(context?.object?.keys.sorted() == ["petrel"])
        }
    }

    @Test func `a thousand commands during twenty socket refreshes run once each`() async throws {
        // So long that a busy machine does not take a result that is late for one that was missed.
        try await Self.run(grace: .seconds(600)) { house in
            for number in 0..<1_000 {
                if number % 50 == 25 { try await house.workspace.order("disconnect", ["reason": "refresh_requested"]) }
                try await house.workspace.say("!st2 echo \(number)", user: number % 2 == 0 ? "U1" : "U2")
            }
            let results = try await house.workspace.messages(1_000, with: "stdout").compactMap {
                $0["text"]?.string?.firstMatch(of: /stdout : (\d+)/).flatMap { Int($0.1) }
            }
            #expect(results.sorted() == Array(0..<1_000))
            let started = await house.stackStorm.started
            #expect(started.count == 1_000 && started.values.allSatisfy { $0 == 1 })
            print("Refreshes: 20, messages: 1000, executions: \(started.values.reduce(0, +)), each once")
        }
    }

    @Test func `with an emoji as the acknowledgement, no message is updated, and the result is sent`() async throws {
        try await Self.run(change: { $0.ackReaction = "eyes" }) { house in
            try await house.workspace.say("!st2 echo one")
            #expect(try await house.workspace.message()["text"]?.string?.contains("stdout : one") == true)
            try await house.workspace.say("!st2 status")
            _ = try await house.workspace.messages(until: "No command that you started here is still running.")
            let log = try await house.workspace.log().compactMap { $0["call"]?.string }
            #expect(log.contains("reactions.add") && !log.contains("chat.update"))
        }
    }

    @Test func `a failed update of a message is retried`() async throws {
        try await Self.run { house in
            try await house.workspace.order(
                "fault", ["method": "chat.update", "fault": ["status": 502, "body": "<html>", "times": 1]])
            try await house.workspace.say("!st2 echo one")
            let messages = try await house.workspace.messages(until: "chat.update", times: 2)
            #expect(Self.labels(messages[0]) == ["Output", "Re-run"])
        }
    }

    @Test func `a rate-limited update does not delay other messages`() async throws {
        try await Self.run { house in
            try await house.workspace.order(
                "fault",
                ["method": "chat.update", "fault": ["status": 429, "headers": ["Retry-After": "600"], "times": 1]])
            for number in 0..<3 { try await house.workspace.say("!st2 echo \(number)") }
            let messages = try await house.workspace.messages(6)
            #expect(messages.count { $0["text"]?.string?.contains("stdout : ") == true } == 3)
        }
    }

    @Test func `whispers and refusals are visible to one user only`() async throws {
        var limits = AccessLimits()
        limits.users.deny = GlobList(["U2"])
        let rule = AccessRule(index: 0, command: "st2*", modules: [], limits: limits)
        try await Self.run(policy: Dispatcher.Policy(access: AccessControl(rules: [rule]))) { house in
            try await house.workspace.say("!st2 echo hello", user: "U2")
            let denial = try await house.workspace.message()
            #expect(denial["ephemeral"] == true && denial["user"] == "U2")
            #expect(denial["text"]?.string?.hasPrefix("You may not run this: access") == true)
            await house.stackStorm.publish(
                payload: ["user": "U1", "channel": "C1", "whisper": true, "message": "only for you"], route: "errbot")
            let whisper = try await house.workspace.message(after: 1)
            #expect(whisper["text"] == "only for you" && whisper["channel"] == "D1")
        }
    }

    @Test func `the answer and the result of a slash command are sent to its channel`() async throws {
        try await Self.run { house in
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "echo one &amp; two", "user": "U2", "channel": "C3"])
            let messages = try await house.workspace.messages(2)
            #expect(messages[0]["response_type"] == "in_channel" && messages[0]["channel"] == "C3")
            #expect(messages[1]["text"]?.string?.contains("one &amp; two") == true && messages[1]["channel"] == "C3")
        }
    }

    @Test func `a slash command opens a form, and submitting it runs the command`() async throws {
        try await Self.run { house in
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "form fleet.restart", "user": "U1", "channel": "C2"])
            let view = try await house.workspace.views()[0]
            #expect(view["title"]?["text"] == "restart")
            #expect(view["blocks"]?.array?.compactMap { $0["block_id"]?.string } == ["service", "hosts", "batch"])
            try await house.workspace.order("submit", ["user": "U1", "values": ["service": "nginx", "hosts": "web2"]])
            let texts = try await house.workspace.messages(2)
            #expect(texts[0]["text"]?.string?.hasPrefix("Restarting nginx.") == true && texts[0]["channel"] == "C2")
            #expect(texts[1]["text"] == "nginx restarted on 1 host.")
            #expect(await house.stackStorm.started == ["restart nginx on web2": 1])
        }
    }

    @Test func `a rejected form keeps its values, and access rules apply to its command line`() async throws {
        var limits = AccessLimits()
        limits.users.deny = GlobList(["*"])
        let rule = AccessRule(index: 0, command: "st2 restart mysql*", modules: [], limits: limits)
        try await Self.run(policy: Dispatcher.Policy(access: AccessControl(rules: [rule]))) { house in
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "form fleet.restart", "user": "U1", "channel": "C2"])
            var view = try await house.workspace.views()[0]
            for (service, problem) in [
                ("x\" on 'y", "These answers cannot be written as one command"), ("mysql", "You may not run this"),
            ] {
                try await house.workspace.order(
                    "submit", ["user": "U1", "values": ["service": .string(service), "hosts": "web2", "batch": "3"]])
                view = try await house.workspace.views()[0]
                let blocks = try #require(view["blocks"]?.array)
                #expect(blocks[0]["text"]?["text"]?.string?.hasPrefix("⚠ \(problem)") == true)
                let filled = blocks.dropFirst().map { $0["element"]?["initial_value"]?.string }
                #expect(filled == [service, "web2", "3"])
            }
            try await house.workspace.order("submit", ["user": "U1", "values": ["service": "nginx"]])
            let texts = try await house.workspace.messages(2)
            #expect(texts[1]["text"] == "nginx restarted on 1 host." && texts[1]["channel"] == "C2")
            #expect(await house.stackStorm.started == ["restart nginx on web2 batch=3": 1])
        }
    }

    @Test func `a rejected form that cannot be reopened in time is available through a button`() async throws {
        try await Self.run { house in
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "form fleet.restart", "user": "U1", "channel": "C2"])
            _ = try await house.workspace.views()
            try await house.workspace.order("triggers", ["seconds": 0])
            try await house.workspace.order(
                "submit", ["user": "U1", "values": ["service": "x\" on 'y", "hosts": "web2"]])
            let refusal = try await house.workspace.message()
            #expect(refusal["response_type"] == "ephemeral" && Self.labels(refusal) == ["Run…"])
            try await house.workspace.order("triggers", ["seconds": 60])
            try await house.workspace.order("press", ["user": "U1", "label": "Run…"])
            let blocks = try await house.workspace.views()[0]["blocks"]?.array ?? []
            #expect(blocks.compactMap { $0["element"]?["initial_value"]?.string } == ["x\" on 'y", "web2", "1"])
            try await house.workspace.order("submit", ["user": "U1", "values": ["service": "nginx"]])
            #expect(try await house.workspace.message(after: 2)["text"] == "nginx restarted on 1 host.")
        }
    }

    @Test func `a rate-limited form is available through a button`() async throws {
        try await Self.run { house in
            try await house.workspace.order(
                "fault",
                ["method": "views.open", "fault": ["status": 429, "headers": ["Retry-After": "600"], "times": 1]])
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "form core.echo", "user": "U1", "channel": "C2"])
            #expect(Self.labels(try await house.workspace.message()) == ["Run…"])
        }
    }

    @Test func `replies to a slash command show commands as slash commands`() async throws {
        try await Self.run { house in
            for (number, (text, reply)) in [
                ("nonsense", "StackStorm has no command “nonsense”. `/st2 help` lists the commands."),
                ("resart nginx on web1", "Did you mean `/st2 restart"), ("help fleet", "/st2 restart &lt;service"),
                ("output", "Write `/st2 output ID`."), ("help --limit 1", "More: /st2 help --limit 1 --offset 1"),
            ].enumerated() {
                try await house.workspace.order(
                    "slash", ["command": "/st2", "text": .string(text), "user": "U1", "channel": "C2"])
                let said = try await house.workspace.message(after: number)["text"]?.string ?? ""
                #expect(said.contains(reply), "\(said)")
            }
        }
    }

    @Test func `long output is sent as a file`() async throws {
        try await Self.run { house in
            let text = String(repeating: "0123456789", count: 1_500)
            try await house.workspace.say("!st2 echo \(text)")
            _ = try await house.workspace.messages(2)
            let id = try #require(await house.stackStorm.lastExecution(of: "core.echo")?["id"]?.string)
            try await house.workspace.say("!st2 output \(id)", channel: nil)
            let said = try await house.workspace.messages(until: "files.completeUploadExternal", times: 2)
            #expect(said.last?["channel"] == "D1" && said.last?["content"]?.string?.hasPrefix(text) == true)
        }
    }

    @Test func `an inquiry of a cancelled workflow cannot be answered`() async throws {
        try await Self.run { house in
            try await house.workspace.say("!st2 deploy shop")
            _ = try await house.workspace.messages(2)
            try await house.workspace.order("press", ["user": "U1", "label": "Cancel"])
            let messages = try await house.workspace.messages(
                until: "fleet.deploy (deploy shop) no longer waits for an answer.")
            #expect(messages.allSatisfy { !Self.labels($0).contains("Answer…") })
        }
    }

    @Test func `a form whose trigger has expired is available through a button`() async throws {
        try await Self.run { house in
            try await house.workspace.order("triggers", ["seconds": 0])
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "form core.echo", "user": "U1", "channel": "C2"])
            let late = try await house.workspace.message()
            #expect(
                late["text"] == "Enter the parameters of core.echo: Echo a message."
                    && Self.labels(late) == ["Run…"])
        }
    }

    @Test func `slash commands work in channels without the bot, and privately in chats of others`()
        async throws
    {
        try await Self.run { house in
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "form core.echo", "user": "U1", "channel": "C77"])
            _ = try await house.workspace.views()
            try await house.workspace.order("submit", ["user": "U1", "values": ["message": "far away"]])
            let far = try await house.workspace.messages(2)
            #expect(far.allSatisfy { $0["response"] == true && $0["channel"] == "C77" })
            // An inquiry is sent there as well.
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "deploy shop", "user": "U1", "channel": "C77"])
            let asked = try await house.workspace.messages(4)[3]
            #expect(asked["channel"] == "C77" && Self.labels(asked) == ["Answer…"])
            try await house.workspace.order(
                "slash", ["command": "/st2", "text": "echo between us", "user": "U2", "channel": "D99"])
            let whispers = try await house.workspace.messages(6).suffix(2)
            #expect(whispers.allSatisfy { $0["response_type"] == "ephemeral" && $0["user"] == "U2" })
        }
    }

    @Test func `a reply to a channel that the bot has left is sent to the user`() async throws {
        try await Self.run { house in
            // The button was in a channel that the bot has left since.
            let button: JSONValue = [
                "type": "block_actions", "user": ["id": "U1"], "trigger_id": "1.2.x", "channel": ["id": "C6"],
                "actions": [["action_id": "petrel.0", "value": "st2 echo from afar"]],
            ]
            try await house.workspace.order("deliver", ["type": "interactive", "payload": button])
            let messages = try await house.workspace.messages(2)
            #expect(messages.allSatisfy { $0["channel"] == "D1" })
            #expect(messages[1]["text"]?.string?.contains("stdout : from afar") == true)
        }
    }

    @Test func `a shortcut selects a command, and a form command in a channel opens the form through a button`()
        async throws
    {
        try await Self.run { house in
            try await house.workspace.order("shortcut", ["callback_id": "petrel_form", "user": "U1"])
            let picked = try await house.workspace.views()[0]
            #expect(picked["title"]?["text"] == "StackStorm")
            try await house.workspace.order("submit", ["user": "U1", "values": ["command": "core.echo"]])
            #expect(try await house.workspace.views()[0]["title"]?["text"] == "echo")
            try await house.workspace.order("submit", ["user": "U1", "values": ["message": "by form"]])
            let direct = try await house.workspace.messages(2)
            #expect(direct[1]["text"]?.string?.contains("by form") == true && direct[1]["channel"] == "D1")
            try await house.workspace.say("!st2 form core.echo", channel: "C4")
            #expect(Self.labels(try await house.workspace.message(after: 2)) == ["Run…"])
            try await house.workspace.order("press", ["user": "U2", "label": "Run…"])
            _ = try await house.workspace.views()
            try await house.workspace.order("submit", ["user": "U2", "values": ["message": "by button"]])
            let said = try await house.workspace.messages(5)
            #expect(said[4]["text"]?.string?.contains("by button") == true && said[4]["channel"] == "C4")
        }
    }

    @Test func `buttons act with the rights of the user who presses them`() async throws {
        try await Self.run { house in
            try await house.workspace.say("!st2 deploy shop", ["thread_ts": "1.5"])
            _ = try await house.workspace.messages(2)
            try await house.workspace.order("press", ["user": "U2", "label": "Cancel"])
            let refusal = try await house.workspace.message(after: 2)
            #expect(refusal["response_type"] == "ephemeral" && refusal["user"] == "U2")
            #expect(refusal["text"] == "Only the user who started this execution or an administrator may do that.")
            try await house.workspace.order("press", ["user": "U1", "label": "Cancel"])
            let messages = try await house.workspace.messages(until: "fleet.deploy is being cancelled.")
            #expect(messages.last { $0["text"] == "fleet.deploy is being cancelled." }?["thread_ts"] == "1.5")
        }
    }

    @Test func `an inquiry can be answered only with the required rights`() async throws {
        let page = try #require(URL(string: "https://petrel.example.com/"))
        try await Self.run(page: page) { house in
            for (number, (user, name)) in [("U1", "alice"), ("U2", "bob")].enumerated() {
                try await house.workspace.say("!st2session_start tulip-garden", user: user, channel: nil)
                let link = try await house.workspace.message(after: number * 2)
                #expect(link["text"]?.string?.contains("https://petrel.example.com/#link-") == true)
                #expect(link["unfurl_links"] == .bool(false) || link["unfurl_links"] == "false")
                #expect(link["channel"] == .string("D\(number + 1)"))
                try await house.desk.enter(.password(name: name, password: Secret("demo")))
                _ = try await house.workspace.message(after: number * 2 + 1)
            }
            try await house.workspace.say("!st2 deploy shop 2.0", ["thread_ts": "1.5"])
            let asked = try await house.workspace.messages(6)[5]
            #expect(asked["thread_ts"] == "1.5" && Self.labels(asked) == ["Answer…"])
            for (user, values) in [("U2", ["approved": "true"]), ("U1", ["approved": "true", "reason": "fine"])]
                as [(String, [String: JSONValue])]
            {
                try await house.workspace.order("press", ["user": .string(user), "label": "Answer…"])
                let view = try await house.workspace.views()[0]
                #expect(view["blocks"]?.array?.compactMap { $0["block_id"]?.string } == ["approved", "reason"])
                try await house.workspace.order("submit", ["user": .string(user), "values": .object(values)])
                if user == "U2" {
                    let refused = try await house.workspace.views()[0]
                    let problem = refused["blocks"]?.array?[0]["text"]?["text"]?.string
                    #expect(problem?.contains("doesn't have required permission") == true)
                    try await house.workspace.order("close")
                }
            }
            let answers = try await house.workspace.messages(8).suffix(2).compactMap { $0["text"]?.string }.sorted()
            #expect(
                answers == [
                    "@alice answered fleet.deploy: approved=true reason=fine", "shop 2.0 is deployed (rolling).",
                ])
        }
    }
}
