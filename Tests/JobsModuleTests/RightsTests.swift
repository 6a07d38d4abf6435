import JobsModule
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite struct RightsTests {
    private static let quiet: JSONValue = [
        "handshake": "accepted", "success": "done\n{{ output }}", "failure": "failed: {{ error }}\n{{ output }}",
        "unauthorized": "no: {{ error }}",
    ]

    private func house(_ command: [String: JSONValue], rules: JSONValue = []) throws -> JobsHouse {
        let whole = ["command": "echo", "no_handshake": true].merging(command) { $1 } as [String: JSONValue]
        return try JobsHouse(
            ["commands": ["deploy": .object(whole)], "templates": Self.quiet],
            groups: ["infra": ["@alice"]], rules: rules)
    }

    @Test(
        arguments: [
            (["auth_strategy": "none"], "@root", "#ops", "no: jobs.commands.deploy.auth_strategy is none"),
            (["auth_strategy": "any"], "@bob", "#ops", "done"),
            (["auth_strategy": "group", "allowed_groups": ["infra"]], "@alice", "#ops", "done"),
            (
                ["auth_strategy": "group", "allowed_groups": ["infra"]], "@bob", "#ops",
                "no: jobs.commands.deploy.allowed_groups"
            ),
            (["auth_strategy": "group", "allowed_groups": ["admin"]], "@root", "#ops", "done"),
            (
                ["auth_strategy": "any", "channel_strategy": "im_only"], "@bob", "#ops",
                "no: jobs.commands.deploy.channel_strategy"
            ),
            (["auth_strategy": "any", "channel_strategy": "im_only"], "@bob", nil, "done"),
            (
                ["auth_strategy": "any", "channel_strategy": "channel"], "@bob", nil,
                "no: jobs.commands.deploy.channel_strategy"
            ),
            (["auth_strategy": "any", "channel_strategy": "channel"], "@bob", "#x", "done"),
            (
                ["auth_strategy": "any", "channel_strategy": "channel", "allowed_channels": ["ops"]], "@bob", "#ops",
                "done"
            ),
            (
                ["auth_strategy": "any", "channel_strategy": "channel", "allowed_channels": ["#ops"]], "@bob", "#x",
                "no: jobs.commands.deploy.allowed_channels does not contain #x"
            ),
        ] as [([String: JSONValue], String, String?, String)])
    func `A command is allowed to its people in its places`(
        command: [String: JSONValue], person: String, room: String?, reply: String
    ) async throws {
        try await house(command).run { house in
            #expect(await house.ask("!deploy", as: person, in: room).hasPrefix(reply))
        }
    }

    @Test func `Access rules apply on top, and acl why names what refused`() async throws {
        let house = try house(["auth_strategy": "any"], rules: [["command": "deploy*", "denyargs": ["*prod*"]]])
        try await house.run { house in
            #expect(await house.ask("!deploy test") == "done\ntest\n")
            #expect(
                await house.ask("!deploy prod").hasPrefix(
                    "no: access_controls[0] (“deploy*”) does not allow these arguments"))
            // Quotation marks do not hide an argument from the rules.
            #expect(await house.ask("!deploy p\\rod").hasPrefix("no: access_controls[0]"))
            #expect(await house.ask("!acl why @alice #ops deploy prod", as: "@root").contains("access_controls[0]"))
        }
        try await self.house(["auth_strategy": "none"]).run { house in
            let why = await house.ask("!acl why @alice #ops deploy", as: "@root")
            #expect(why.contains("denied") && why.contains("reason: jobs.commands.deploy.auth_strategy is none"))
        }
    }

    @Test func `Stealth answers only members of groups, in direct chats`() async throws {
        let house = try JobsHouse(
            [
                "stealth": true, "templates": Self.quiet,
                "commands": ["deploy": ["command": "echo", "auth_strategy": "any", "no_handshake": true]],
            ],
            groups: ["infra": ["@alice"]])
        try await house.run { house in
            for (person, room) in [("@alice", "#ops"), ("@bob", nil), ("@bob", "#ops")] as [(String, String?)] {
                for line in ["!deploy", "!jobs", "!tail", "!help", "!whoami", "!status", "!nosuch", "!deploy 'x"] {
                    let id = house.backend.type(line, as: person, in: room)
                    #expect(await house.backend.nextCompleted() == id)
                }
            }
            #expect(await house.ask("!deploy a", in: nil) == "done\na\n")
            #expect(await house.ask("!nosuch", in: nil).contains("Unknown command"))
            let denied = house.host.audit.all.filter { !$0.isAllowed }
            #expect(denied.contains { $0.line == "help" && $0.reason.contains("jobs.stealth") })
        }
    }

    @Test func `Replies that are disabled are not sent, and the bot says nothing in their place`() async throws {
        let settings: JSONValue = [
            "reply_styles": [
                "unauthorized": "disabled", "unknowncommand": "disabled", "handshake": "disabled",
                "success": "disabled",
                "failure": "disabled",
            ],
            "commands": [
                "no": ["command": "echo"], "yes": ["command": "true", "auth_strategy": "any"],
                "bad": ["command": "false", "auth_strategy": "any"],
            ],
        ]
        try await JobsHouse(settings).run { house in
            for line in ["!no", "!nosuch", "!yes", "!bad"] {
                let id = house.backend.type(line)
                #expect(await house.backend.nextCompleted() == id)
            }
            // Any other reply would come before it.
            #expect(await house.ask("!whoami").contains("@alice"))
        }
    }

    @Test func `Secret arguments are masked in records, lists and the audit log`() async throws {
        let house = try house(["auth_strategy": "any", "secrets": [2, "--password", "token"]])
        try await house.run { house in
            #expect(
                await house.ask("!deploy web one --password two token=three --password=four").contains(
                    "one --password two"))
            let details = await house.ask("!job 1")
            #expect(details.contains(#""web" "•••" "--password" "•••" "token=•••" "--password=•••""#))
            _ = await house.ask("!alias d deploy web one")
            for line in ["!deploy 'web one", "!deploy token=three 'x", "!deploy --password=it's"] {
                #expect(await house.ask(line).contains("Unclosed quote"))
            }
            let audit = house.host.audit.all.map(\.line).joined(separator: "\n")
            for secret in ["one", "two", "three", "four", "it'"] { #expect(!audit.contains(secret), "\(audit)") }
        }
    }

    @Test func `Secret arguments are masked behind a built-in command, too`() async throws {
        let house = try house(["auth_strategy": "any", "secrets": [2, "--password"]])
        try await house.run { house in
            for line in [
                "!help deploy --password=one", "!help -all deploy --password one", "!unalias q9 deploy --password=one",
                "!cancel deploy --password=one", "!jobs deploy web one", "!last deploy web 'one'",
                "!tail -limit 3 deploy --password=one", "!whoami deploy --password=one",
            ] { _ = await house.ask(line) }
            for line in [
                "!tokens -command \"deploy --password=one\"", "!tokens -command=\"deploy --password=one\"",
                "!kill !deploy --password=one", "!audit -user deploy --password=one",
                "!acl why @bob cancel deploy web one",
            ] { _ = await house.ask(line, as: "@root", in: nil) }
            let audit = house.host.audit.all.map(\.line)
            #expect(audit.count == 13 && !audit.contains { $0.contains("one") }, "\(audit)")
            #expect(audit.contains("cancel deploy --password=•••") && audit.contains("jobs deploy web •••"))
        }
    }

    @Test func `A reload replaces the commands and leaves running jobs alone`() async throws {
        let settings: @Sendable (String) -> JSONValue = { name in
            [
                "templates": Self.quiet,
                "commands": .object([
                    name: [
                        "command": "sh", "args": ["-c", "echo up; exec sleep 300"], "auth_strategy": "any",
                    ]
                ]),
            ]
        }
        try await JobsHouse(settings("one")).run { house in
            #expect(await house.ask("!one") == "accepted")
            #expect(await house.ask("!tail", containing: "up").contains("up"))
            let (section, _) = try JobsHouse.settings(settings("two"))
            JobsPlugIn([section]).reload(house.modules)
            #expect(await house.ask("!one").contains("Unknown command"))
            #expect(await house.ask("!jobs -status running").contains("1 - "))
            house.backend.type("!cancel 1")
            let replies = [await house.next(), await house.next()]
            #expect(replies.contains { $0.hasPrefix("failed: cancelled") })
        }
    }
}
