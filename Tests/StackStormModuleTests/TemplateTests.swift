import Foundation
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// StackStorm does not evaluate the input of users.
@Suite(.timeLimit(.minutes(30))) struct TemplateTests {
    private static let secret = "TOP-SECRET-42"
    private static let evil = "{{ st2kv.system.petrel_secret }}"

    /// A workflow, a plain action, and an action with an unknown runner.
    private static let content = SimulatedContent(
        aliases: SimulatedContent.demo.aliases + [
            SimulatedContent.alias("ops.rollout", "", action: "ops.rollout", formats: ["roll out {{ app }}"]),
            SimulatedContent.alias("ops.strange", "", action: "ops.strange", formats: ["strange {{ text }}"]),
        ],
        actions: SimulatedContent.demo.actions + [
            SimulatedAction(
                "ops.rollout",
                parameters: [
                    "app": ["type": "string"], "env": ["type": "object"], "hosts": ["type": "array"],
                ], runner: "orquesta"
            ) { run in ["stdout": .string("rolled out \(run.text("app")) \(run.text("env"))")] },
            SimulatedAction("ops.strange", parameters: ["text": ["type": "string"]], runner: "own-runner") { run in
                ["stdout": .string(run.text("text"))]
            },
        ])

    private static func options(
        _ change: @Sendable @escaping (inout StackStormModuleSettings) -> Void = { _ in }
    ) -> Bench.Options {
        Bench.Options(content: content, module: change)
    }

    @Test func `the context of a command contains its ID and no user input`() async throws {
        try await Bench.run(Self.options()) { bench in
            bench.backend.type("!st2 echo one", as: "@\(Self.evil)", in: "#\(Self.evil)", thread: Self.evil)
            _ = await bench.backend.next()
            let result = await bench.backend.next()
            #expect(result?.address.thread == Self.evil)
            #expect(result?.address.place == .room("#\(Self.evil)"))
            let execution = try #require(await bench.stackStorm.lastExecution(of: "core.echo"))
            let data = execution["liveaction"]?["notify"]?["on-complete"]?["data"]
            #expect(data?["source_context"]?["petrel"]?.object?.keys.sorted() == ["request"])
            #expect(data?["source_context"]?.object?.count == 1)
            let sent = JSONValue.object(execution).prettyText
            #expect(!Templates.isFound(in: sent))
            #expect(result?.reply.text.contains(Self.secret) == false)
        }
    }

    @Test(arguments: [nil, "#ops"]) func `a whisper goes to the stored user of the command`(room: String?) async throws
    {
        try await Bench.run(Self.options()) { bench in
            bench.backend.type("!st2 echo one", as: "@\(Self.evil)", in: room)
            _ = await bench.backend.next()
            _ = await bench.backend.next()
            let request = try #require(await bench.backend.nextSettled())
            await bench.stackStorm.publish(
                payload: [
                    "user": .string(Templates.disarmed("@\(Self.evil)")), "channel": "#ops", "whisper": true,
                    "message": "psst", "context": .object(RequestID.context(request)),
                ], route: "errbot")
            let whisper = await bench.backend.next()
            #expect(whisper?.reply.text == "psst")
            #expect(whisper?.address.place == .direct("@\(Self.evil)"))
        }
    }

    @Test(arguments: [
        "{{ st2kv('system.petrel_secret') }}", "<% st2kv('system.petrel_secret') %>", "{% if 1 %}x{% endif %}", "a{#b",
        // A prepending and a combining scalar, which a Character would join to a brace.
        "\u{0600}{{ st2kv('system.petrel_secret') }}", "{\u{0301}{ x {{ y",
    ]) func `templates in parameters of a workflow are rejected, with and without rules`(value: String) async throws {
        for rules in [[], [AccessRule(index: 0, command: "st2*", modules: [], limits: AccessLimits())]] {
            var options = Self.options()
            options.policy.access = AccessControl(rules: rules)
            try await Bench.run(options) { bench in
                for line in ["roll out \(value)", "roll out x env={\"A\":\"\(value)\"}"] {
                    bench.backend.type("!st2 \(line)")
                    let text = await bench.text()
                    #expect(text.contains("contains a template"), "\(line): \(text)")
                }
                #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == 0)
            }
        }
    }

    @Test(arguments: [
        #"{"A":"\u007b\u007b st2kv('system.petrel_secret') \u007d\u007d"}"#, #"{"A":{"B":["\u003c% x %>"]}}"#,
        #"{'A':'\x7b\x7b st2kv.system.petrel_secret }}'}"#, #"{'A':'{''{ st2kv.system.petrel_secret }}'}"#,
        #"{"A":"\ud83d\u007b"}"#,
    ]) func `an object is checked in the form that StackStorm decodes`(value: String) async throws {
        try await Bench.run(Self.options()) { bench in
            bench.backend.type("!st2 roll out x env=\(value)")
            #expect(await bench.text().contains("contains a template"))
            bench.backend.type(#"!st2 roll out x env={"A":"\u0041 { 100% \"<b>\""}"#)
            let text = await bench.text()
            #expect(text.hasPrefix("ops.rollout started"), "\(text)")
        }
    }

    @Test func `braces in the parameters of a plain action are unchanged`() async throws {
        let rule = AccessRule(index: 0, command: "st2*", modules: [], limits: AccessLimits())
        var options = Self.options()
        options.policy.access = AccessControl(rules: [rule])
        try await Bench.run(options) { bench in
            bench.backend.type("!st2 echo docker ps --format {{.Names}}")
            #expect(await bench.text().hasPrefix("core.echo started"))
            #expect(await bench.text().contains("docker ps --format {{.Names}}"))
        }
    }

    @Test func `the schema of an action that has become a workflow is fetched again`() async throws {
        try await Bench.run(Self.options()) { bench in
            bench.backend.type("!st2 echo {{.Names}}")
            #expect(await bench.text().hasPrefix("core.echo started"))
            _ = await bench.text()
            await bench.stackStorm.setRunner("orquesta", of: "core.echo")
            bench.backend.type("!st2 echo {{.Names}}")
            #expect(await bench.text().contains("core.echo is a workflow"))
            await bench.stackStorm.change { $0.hidesActions = true }
            bench.backend.type("!st2 echo {{.Names}}")
            #expect(await bench.text().contains("contains a template"))
        }
    }

    @Test func `an action with an unknown runner is treated as a workflow`() async throws {
        try await Bench.run(Self.options()) { bench in
            bench.backend.type("!st2 strange {{ x }}")
            #expect(await bench.text().contains("ops.strange is a workflow"))
            bench.backend.type("!st2 strange {x}")
            #expect(await bench.text().hasPrefix("ops.strange started"))
        }
        var options = Self.options()
        options.prepare = { await $0.change { $0.hidesActions = true } }
        try await Bench.run(options) { bench in
            bench.backend.type("!st2 echo {{ x }}")
            #expect(await bench.text().contains("it is not known whether core.echo is a workflow"))
        }
    }

    @Test func `the settings determine where templates are rejected and who may write them`() async throws {
        try await Bench.run(Self.options { $0.templates = .never }) { bench in
            bench.backend.type("!st2 roll out \(Self.evil)")
            _ = await bench.backend.next()
            #expect(await bench.text().contains("rolled out \(Self.secret)"))
        }
        try await Bench.run(Self.options { $0.templates = .always }) { bench in
            bench.backend.type("!st2 echo {{.Names}}")
            #expect(await bench.text().contains("stackstorm.templates does not permit it"))
        }
        try await Bench.run(Self.options { $0.allowTemplates = ["@bob"] }) { bench in
            bench.backend.type("!st2 roll out \(Self.evil)")
            #expect(await bench.text().contains("contains a template"))
            bench.backend.type("!st2 roll out \(Self.evil)", as: "@bob")
            let text = await bench.text()
            #expect(text.hasPrefix("ops.rollout started"), "\(text)")
        }
    }

    @Test func `templates in answers to inquiries are rejected`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 deploy web 2")
            _ = await bench.backend.next()
            let question = try #require(await bench.backend.next()?.reply.text)
            let id = try #require(question.firstMatch(of: /inquiry answer ([0-9a-f]{24})/)).1
            bench.backend.type("!st2 inquiry answer \(id) approved=yes reason=\"<% st2kv('system.x') %>\"")
            #expect(await bench.text().hasPrefix("reason contains a template"))
            bench.backend.type(
                "!st2 inquiry answer \(id)", values: ["approved": "yes", "reason": "{{ st2kv.system.petrel_secret }}"])
            #expect(await bench.text().hasPrefix("reason contains a template"))
            #expect(await bench.stackStorm.request(count: "PUT /api/v1/inquiries/\(id)") == 0)
        }
    }

    @Test(arguments: [
        (#"["\u007b\u007b x"]"#, "array"), (#"{"A":"x","A":"\u007b\u007b x"}"#, "object"),
        (#"{"\u00e9":"x","e\u0301":"\u007b% x"}"#, "object"), (#"{"a":{"\u003c% x":1}}"#, "object"),
        (#"["\ud800"]"#, "array"),
    ]) func `escapes and repeated keys do not hide a template`(value: String, type: String) {
        #expect(Templates.isFound(in: value, castTo: type) != false)
        #expect(Templates.isFound(in: #"{"a": ["x", "y\n"], "b": 1}"#, castTo: type) == false)
    }
}
