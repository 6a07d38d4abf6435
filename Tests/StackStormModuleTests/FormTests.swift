import FaultSuite
import Foundation
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Forms for aliases, buttons, and inquiries of workflows.
@Suite(.timeLimit(.minutes(30))) struct FormTests {
    private static func run(
        forms: Bool = true, access: AccessControl = AccessControl(), content: SimulatedContent = .demo,
        _ body: @Sendable @escaping (Bench) async throws -> Void
    ) async throws {
        var options = Bench.Options()
        options.content = content
        options.traits.forms = forms
        options.policy.access = access
        options.module = { $0.gracePeriod = .seconds(20) }
        try await Bench.run(options, body)
    }

    @Test func `a form has the parameters of the action, and its answers run the alias`() async throws {
        try await Self.run { bench in
            bench.backend.type("!st2 form fleet.deploy")
            let form = try #require(await bench.backend.next()?.reply.form)
            #expect(form.title == "deploy" && form.line == "st2 form fleet.deploy" && form.submit == "Run")
            #expect(
                form.fields.map(\.name)
                    == ["service", "version", "dry_run", "registry_token", "replicas", "strategy"])
            #expect(form.fields.map(\.isRequired) == [true, false, false, false, false, false])
            #expect(form.fields.map(\.initial) == [nil, "latest", "false", nil, nil, "rolling"])
            #expect(
                form.fields.map(\.kind)
                    == [.text, .text, .boolean, .text, .integer, .choice(["rolling", "canary"])])
            bench.backend.type(
                "!" + form.line, as: "@alice",
                values: [
                    "service": "web shop", "version": "1.2", "dry_run": "false", "strategy": "canary",
                    "registry_token": "hunter2", "nobody": "asked",
                ])
            let started = try #require(await bench.backend.next())
            #expect(started.reply.text.hasPrefix("fleet.deploy started"))
            #expect(!started.reply.text.contains("hunter2"))
            // A line with a secret cannot be run again.
            #expect(started.reply.buttons.map(\.label) == ["Output", "Cancel"])
            let line = "deploy \"web shop\" 1.2 registry_token=hunter2 strategy=canary"
            #expect(await bench.stackStorm.started == [line: 1])
            let audited = bench.host.audit.all.map(\.line)
            #expect(audited.last == "st2 deploy \"web shop\" 1.2 registry_token=••• strategy=canary")
            #expect(!audited.joined().contains("hunter2"))
        }
    }

    @Test func `rules apply to the line of a form`() async throws {
        let rule = AccessRule(index: 0, command: "st2 deploy prod*", modules: [], limits: .nobody)
        try await Self.run(access: AccessControl(rules: [rule])) { bench in
            bench.backend.type("!st2 form deploy", values: ["service": "prod"])
            let denial = try #require(await bench.backend.next()?.reply)
            #expect(denial.text.hasPrefix("You may not run this: access_controls[0]") && denial.isPrivate)
            let audited = bench.host.audit.all.last
            #expect(audited?.line == "st2 deploy prod latest" && audited?.isAllowed == false && audited?.rule == 0)
            bench.backend.type("!st2 form deploy", values: ["version": "1"])
            #expect(await bench.text() == "service is required. Nothing was started.")
            bench.backend.type("!st2 form deploy", values: ["service": "a\"b'c d"])
            #expect(await bench.text().contains("cannot be written as one command"))
            bench.backend.type("!st2 form nothing")
            #expect(await bench.text().hasPrefix("StackStorm has no alias “nothing” that you may run."))
            #expect(await bench.stackStorm.started.isEmpty)
        }
    }

    @Test func `typographic quotes and spaces in a form are normalized as in a typed line`() async throws {
        try await Self.run { bench in
            bench.backend.type("!st2 form core.echo", values: ["message": "say “hi\u{A0}there” it’s"])
            _ = await bench.backend.next()
            #expect(await bench.stackStorm.started == ["echo say \"hi there\" it's": 1])
        }
    }

    @Test func `form without an alias offers a choice, and without forms the parameters are described`() async throws {
        try await Self.run { bench in
            bench.backend.type("!st2 form")
            let form = try #require(await bench.backend.next()?.reply.form)
            guard case .choice(let refs)? = form.fields.first?.kind else { throw CancellationError() }
            #expect(refs.contains("fleet.deploy") && !refs.contains("backup.purge"))
            bench.backend.type("!" + form.line, values: ["command": "fleet.restart"])
            #expect(await bench.backend.next()?.reply.form?.line == "st2 form fleet.restart")
        }
        try await Self.run(forms: false) { bench in
            bench.backend.type("!st2 form")
            #expect(await bench.text() == "An alias is missing. Write `!st2 form PACK.ALIAS`.")
            bench.backend.type("!st2 form fleet.deploy")
            let text = await bench.text()
            #expect(text.contains("  service (required)\n  version (optional; default latest)"))
            #expect(
                text.contains(
                    "Write `!st2 deploy <service> <version>`; append any other parameter as name=value."))
        }
    }

    @Test func `an execution has buttons, which run lines as the user who presses them`() async throws {
        try await Self.run { bench in
            bench.backend.type("!st2 restart nginx on web1")
            let buttons = try #require(await bench.backend.next()).reply.buttons
            #expect(buttons.map(\.label) == ["Output", "Re-run", "Cancel"])
            #expect(buttons.map(\.style) == [.normal, .normal, .danger])
            _ = await bench.text()
            bench.backend.type("!" + buttons[0].line, as: "@bob")
            #expect(await bench.text() == "Only the user who started this execution or an administrator may do that.")
            bench.backend.type("!" + buttons[1].line)
            #expect(await bench.text().hasPrefix("Restarting nginx."))
            #expect(await bench.stackStorm.started == ["restart nginx on web1": 2])
        }
        try await Self.run(forms: false) { bench in
            bench.backend.type("!st2 restart nginx on web1")
            #expect(await bench.backend.next()?.reply.buttons == [])
        }
    }

    @Test func `an inquiry is posted and answered where its workflow was started`() async throws {
        try await Self.run(forms: false) { bench in
            bench.backend.type("!st2 deploy shop 1.2", thread: "t1")
            #expect(await bench.text().hasPrefix("fleet.deploy started"))
            let asked = try #require(await bench.backend.next())
            #expect(asked.address.thread == "t1")
            #expect(asked.reply.text.hasPrefix("fleet.deploy (deploy shop 1.2) waits for an answer:"))
            let questions = "  approved (required; true or false): Approve?\n  reason (optional): Why"
            #expect(asked.reply.text.contains(questions))
            #expect(asked.reply.form?.fields.map(\.name) == ["approved", "reason"])
            let id = try #require(asked.reply.text.firstMatch(of: /inquiry answer (\w+) approved/)?.1)
            bench.backend.type("!st2 inquiry list", as: "@bob")
            #expect(
                await bench.text().hasPrefix(
                    "One inquiry is pending:\n\(id) of fleet.deploy (deploy shop 1.2): approved"))
            bench.backend.type("!st2 inquiry list", as: "@bob", in: "#elsewhere")
            #expect(await bench.text() == "No execution that was started here waits for an answer.")
            for line in ["show \(id)", "answer \(id) approved=yes"] {
                bench.backend.type("!st2 inquiry \(line)", as: "@bob", in: "#elsewhere")
                #expect(await bench.text() == "“\(id)” is not an inquiry of an execution that was started here.")
            }
            for (answer, reply) in [
                ("approved=perhaps", "approved must be true or false."),
                ("reason=x", "approved is required."),
                ("yes", "Write the answer as `!st2 inquiry answer \(id) name=value …`, such as approved=yes."),
                ("approved=yes other=1", "Unknown field other. The fields are approved, reason."),
            ] {
                bench.backend.type("!st2 inquiry answer \(id) \(answer)", as: "@bob")
                #expect(await bench.text() == reply)
            }
            bench.backend.type("!st2 inquiry answer \(id) approved=yes reason=\"looks good\"", as: "@bob")
            let texts = [await bench.text(), await bench.text()].sorted()
            #expect(
                texts == [
                    "@bob answered fleet.deploy: approved=true reason=looks good", "shop 1.2 is deployed (rolling).",
                ])
            #expect(bench.host.audit.all.last?.line == "st2 inquiry answer \(id) approved=true reason=looks good")
            bench.backend.type("!st2 inquiry answer \(id) approved=no")
            #expect(await bench.text() == "The inquiry \(id) is no longer pending: it is succeeded.")
            bench.backend.type("!st2 inquiry show nothing")
            #expect(await bench.text() == "StackStorm has no inquiry “nothing”.")
        }
    }

    @Test func `the acknowledgement shows the progress`() async throws {
        var options = Bench.Options()
        options.traits.edits = true
        options.module = { $0.gracePeriod = .seconds(1) }
        try await Bench.run(options) { bench in
            bench.backend.type("!st2 deploy shop")
            let start = try #require(await bench.backend.next())
            var id: Substring?
            var progress: RecordingBackend.Sent?
            while id == nil || progress == nil {
                let sent = try #require(await bench.backend.next())
                if sent.reply.text.contains("(running for ") {
                    progress = sent
                } else if id == nil {
                    id = sent.reply.text.firstMatch(of: /inquiry answer (\w+) approved/)?.1
                }
            }
            #expect(progress?.message == start.message && progress?.address == start.address)
            #expect(progress?.reply.text.hasPrefix(start.reply.text + " (running for ") == true)
            bench.backend.type("!st2 inquiry answer \(id ?? "") approved=yes")
            var end: RecordingBackend.Sent?
            while end?.reply.text.contains("(ended after ") != true { end = await bench.backend.next() }
            #expect(end?.message == start.message && end?.isReplacement == true)
        }
    }

    @Test func `an inquiry is posted once, even after a restart, and only if its workflow was started from chat`()
        async throws
    {
        let store = try TestStore()
        try await Bench.withSimulator { stackStorm, port in
            for run in 0..<2 {
                var settings = StackStormModuleSettings(client: try Bench.client(port: port))
                settings.gracePeriod = .seconds(20)
                let backend = RecordingBackend()
                let host = try TestHost([backend], store: store)
                let module = try host.module(settings)
                try await host.run([module]) {
                    await stackStorm.untilHeard()
                    if run == 0 {
                        await stackStorm.ask(["properties": ["foreign": ["type": "string"]]])
                        backend.type("!st2 deploy shop")
                        _ = await backend.next()
                        #expect(await backend.next()?.reply.text.contains("waits for an answer") == true)
                    }
                    await stackStorm.untilRequestedAgain("GET /api/v1/executions")
                    await stackStorm.untilRequestedAgain("GET /api/v1/executions")
                    backend.type("!st2 inquiry list")
                    #expect(await backend.next()?.reply.text.hasPrefix("One inquiry is pending:") == true)
                }
                await stackStorm.cutStreams()
            }
        }
    }

    @Test(
        arguments: [
            ("deploy {{ a }} to {{ b=x }}", ["a": "1", "b": "2"], "deploy 1 to 2"),
            ("deploy {{ a }} to {{ b=x }}", ["a": "1"], "deploy 1 to x"),
            ("deploy {{ a }} to {{ b=x }}", ["a": "p q", "b": "2"], "deploy \"p q\" to 2"),
            ("deploy {{ a }}", ["a": "say \"hi\""], "deploy 'say \"hi\"'"),
            ("deploy {{ a }}", ["a": "1", "n": "2 3"], "deploy 1 n=\"2 3\""), ("deploy {{ a }}", [:], nil),
            ("deploy {{ a }} {{ b }}", ["a": "", "b": "1"], nil), ("deploy {{ a }}", ["a": "x=1"], nil),
        ] as [(String, [String: String], String?)])
    func `a filled-in format is parsed by StackStorm as intended`(
        source: String, values: [String: String], line: String?
    ) throws {
        #expect(try #require(CommandTemplate(source)).line(values, others: ["n"]) == line)
    }

    @Test(arguments: ["(restart|bounce) {{ a }}", "x {{ a", "^go", "show {{ }}"])
    func `a regular expression is not a template`(source: String) {
        #expect(CommandTemplate(source) == nil)
    }

    @Test func `answers get the types of the schema`() throws {
        let fields = SchemaFields(inquiry: [
            "required": ["n"],
            "properties": [
                "n": ["type": "integer"], "f": ["type": ["number", "null"]], "l": ["type": "array"],
                "o": ["type": "object"], "b": ["type": "boolean"], "e": ["type": "string", "enum": ["x", "y"]],
            ],
        ])
        #expect(
            try fields.values(of: ["n": "3", "f": "1.5", "l": "a, b", "o": "{\"k\":1}", "b": "no", "e": "y"])
                == ["n": 3, "f": .number(1.5), "l": ["a", "b"], "o": ["k": 1], "b": false, "e": "y"])
        for (answers, problem) in [
            (["n": "x"], "n must be a whole number."), ([:], "n is required."),
            (["n": "1", "e": "z"], "e must be one of x, y."),
            (["n": "1", "b": "2"], "b must be true or false."),
        ] {
            #expect { try fields.values(of: answers) } throws: { ($0 as? Refusal)?.reply == problem }
        }
    }
}
