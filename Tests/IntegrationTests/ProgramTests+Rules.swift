import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The output of `check` and `explain` about access rules, and the effect of a reload.
extension ProgramTests {
    @Test func `check reports every error and its location`() async throws {
        try await withFolder { folder in
            let data = try Self.configuration(port: 1) { object in
                object["bot"] = ["prefx": "?"]
                object["backends"] = ["slak": .object([:])]
            }
            try data.write(to: folder.appendingPathComponent("config.json"))
            let check = try Program(["check"], in: folder)
            let (status, output) = await check.end()
            #expect(status == 1)
            #expect(output.contains("bot.prefx: unknown key; did you mean \"prefix\"?"))
            #expect(output.contains("backends.slak: unknown kind of backend"))
            #expect(
                output.contains("stackstorm.api_auth.user.password: the environment variable ST2_PASSWORD is not set"))
        }
    }

    @Test func `explain reports the alias, the format and the parameters`() async throws {
        let (simulator, port) = try await Self.simulator()
        try await withFolder { folder in
            try Self.configuration(port: port).write(to: folder.appendingPathComponent("config.json"))
            let explain = try Program(
                ["explain", "--user", "@bob", "--room", "#ops", "--json", "!st2 drain web1 for 5 minutes"], in: folder,
                environment: Self.environment)
            let (status, output) = await explain.end()
            #expect(status == 0)
            let json = try JSONValue.parse(output.utf8)
            #expect(json["allowed"] == true)
            #expect(json["command"] == "st2 drain web1 for 5 minutes")
            #expect(json["alias"] == "fleet.drain")
            #expect(json["parameters"] == ["host": "web1", "minutes": "5"])
            let verb = await
                (try Program(
                    ["explain", "--user", "@bob", "--json", "!st2 status"], in: folder, environment: Self.environment))
                .end()
            #expect(try JSONValue.parse(verb.output.utf8)["verb"] == "status")
        }
        simulator.signal(SIGTERM)
        _ = await simulator.end()
    }

    @Test func `explain reports the deciding rule, and check reports invalid rules`() async throws {
        try await withFolder { folder in
            let file = folder.appendingPathComponent("config.json")
            let rules: JSONValue = [
                ["command": "whoami", "allowrooms": ["@petrel"]],
                ["command": "st2 drain*", "allowrooms": ["#ops"], "allowusers": ["group:infra"]],
                ["command": "st2 drain web*"], ["command": "st3*"],
            ]
            try Self.configuration(port: 1) {
                $0["access_controls"] = rules
                $0["groups"] = ["infra": ["@alice"]]
            }.write(to: file)
            func explain(_ arguments: String...) async throws -> String {
                try await Program(["explain"] + arguments, in: folder, environment: Self.environment).end().output
            }
            let allowed = try JSONValue.parse(
                try await explain("--user", "@alice", "--room", "#ops", "--json", "!whoami").utf8)
            #expect(allowed["allowed"] == false && allowed["rule"] == 0 && allowed["command"] == "whoami")
            #expect(try await explain("--user", "@bob", "whoami").contains("allowed   yes"))
            let check = try Program(["check"], in: folder, environment: Self.environment)
            let (status, output) = await check.end()
            #expect(status == 0)
            #expect(output.contains("access_controls[2].command: is never reached: access_controls[1]"))
            #expect(output.contains("access_controls[3].command: can never match"))
            #expect(output.contains("every user of this machine can read this file"))
            try Self.configuration(port: 1) {
                $0["access_controls"] = [["command": "st2*", "allowuser": ["@alice"]]]
            }.write(to: file)
            let broken = try Program(["run"], in: folder, environment: Self.environment)
            #expect(
                await broken.error(with: "access_controls[0].allowuser: unknown key; did you mean \"allowusers\"?")
                    != nil)
            #expect(await broken.end().status == 78)
        }
    }

    @Test func `a reload keeps the rules of modules and names settings that require a restart`() async throws {
        try await withFolder { folder in
            func configure(_ prefix: String, _ more: [String: JSONValue] = [:]) throws {
                try Self.configuration(port: 1) { object in
                    object["access_controls"] = [["command": "st2:*", "allowusers": []]]
                    var stackStorm = object["stackstorm"]?.object ?? [:]
                    stackStorm["plugin_prefix"] = .string(prefix)
                    object["stackstorm"] = .object(stackStorm)
                    object.merge(more) { _, new in new }
                }.write(to: folder.appendingPathComponent("config.json"))
            }
            try configure("st2")
            let petrel = try Program(["run"], in: folder, environment: Self.environment)
            petrel.type(Self.say("!st2 echo x"))
            #expect(await petrel.line()?.contains("You may not run this") == true)
            try configure("prod")
            petrel.signal(SIGHUP)
            #expect(await petrel.error(with: "access_controls[0].command: can never match") != nil)
            #expect(await petrel.error(with: "Changes in stackstorm require a restart.") != nil)
            petrel.type(Self.say("!st2 echo x"))
            #expect(await petrel.line()?.contains("You may not run this") == true)
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
        }
    }

    @Test(arguments: [
        (#"{"plugin_prefix": "builtins"}"#, "creates a second module \"builtins\""),
        (#"{"rbac_auth": {"clientside": {"url": "http://127.0.0.1:1/"}}}"#, "web: is required: users log in"),
        (#"{"rbac_auth": {"clientside": {"url": "http://127.evil.example.com/"}}}"#, "url: must be https://"),
    ]) func `check reports problems that would appear at run time`(section: String, expected: String) async throws {
        try await withFolder { folder in
            try Self.configuration(port: 1) { object in
                let more = (try? JSONValue.parse(section.utf8))?.object ?? [:]
                object["stackstorm"] = .object((object["stackstorm"]?.object ?? [:]).merging(more) { _, new in new })
            }.write(to: folder.appendingPathComponent("config.json"))
            let (status, output) = await (try Program(["check"], in: folder, environment: Self.environment)).end()
            #expect(status == 1 && output.contains(expected), "\(output)")
        }
    }

    @Test func `explain works without StackStorm and reports unknown commands`() async throws {
        try await withFolder { folder in
            try Self.configuration(port: 1) { $0["access_controls"] = [["command": "st2 drain*", "allowusers": []]] }
                .write(to: folder.appendingPathComponent("config.json"))
            func explain(_ line: String) async throws -> String {
                try await Program(["explain", line], in: folder, environment: Self.environment).end().output
            }
            let denied = try await explain("st2 drain web1")
            #expect(denied.contains("allowed   no"))
            #expect(denied.contains("and they cannot be fetched from StackStorm: no connection"), "\(denied)")
            #expect(!denied.contains("please try again"))
            let nonsense = try await explain("nonsense")
            #expect(nonsense.contains("allowed   no") && nonsense.contains("unknown command"))
        }
    }
}
