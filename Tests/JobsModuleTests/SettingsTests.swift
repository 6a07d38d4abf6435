import Foundation
import JobsModule
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite struct JobsSettingsTests {
    /// Returns the problems of a section `jobs`.
    private func problems(_ jobs: JSONValue) throws -> [String] {
        let context = SettingsContext(folder: .init(fileURLWithPath: "/"), environment: ["PATH": "/usr/bin:/bin"])
        let root = SettingsSection(
            ["jobs": jobs, "groups": ["infra": ["@alice"], "empty": []], "admins": ["@root"]], at: "", in: context)
        _ = CoreSettings(root)
        _ = JobsPlugIn(root.sections("jobs"))
        return (context.problems + context.warnings).map(\.description)
    }

    private func problems(ofCommand command: [String: JSONValue]) throws -> [String] {
        try problems(["commands": ["x": .object(["command": "echo", "auth_strategy": "any"].merging(command) { $1 })]])
    }

    @Test(
        arguments: [
            (["auth_strategy": "admin"], "jobs.commands.x.auth_strategy: must be one of"),
            (["channel_strategy": "im"], "jobs.commands.x.channel_strategy: must be one of"),
            (["auth_stratgy": "any"], "jobs.commands.x.auth_stratgy: unknown key; did you mean \"auth_strategy\"?"),
            (
                ["auth_strategy": "group", "allowed_groups": ["infa"]],
                "there is no group \"infa\"; did you mean \"infra\"?"
            ),
            (["auth_strategy": "group"], "allowed_groups: is required"),
            (["allowed_groups": ["infra"]], "has an effect only with auth_strategy"),
            (["allowed_channels": ["#ops"]], "has an effect only with channel_strategy"),
            (["timeout": -1], "jobs.commands.x.timeout: must be from 0"),
            (["timeout": "5"], "jobs.commands.x.timeout: must be a whole number, not a string"),
            (["cwd": "/etc/passwd"], "jobs.commands.x.cwd: /etc/passwd is not a folder"),
            (["command": ""], "must not be empty"), (["command": "a\0"], "NUL"),
            (["env": ["A=B": "x"]], "must be a name without"), (["env": ["PETREL_X": "x"]], "is set by Petrel"),
            (["secrets": [0]], "secrets[0]: must be the number"), (["secrets": "a"], "secrets: must be a list"),
            (["templates": ["handshake": "{{ usr }}"]], "uses the unknown name \"usr\"; did you mean \"user\"?"),
            (["templates": ["failure": "{% if output %}{{ eror }}{% endif %}"]], "uses the unknown name \"eror\""),
            (["templates": ["success": "{% for x in y %}{{ x }}{% endfor %}"]], "uses the unknown name \"y\""),
            (["templates": ["success": "{{ user|shout }}"]], "is not a valid template"),
            (["templates": ["success": "{% if user %}"]], "is not a valid template"),
            (["templates": ["success": "{{ output"]], "contains {{ without }"),
            (["templates": ["success": "{% if user"]], "contains {% without %"),
            (["templates": ["success": "{{ output.foo }}"]], "uses the unknown name \"output.foo\""),
            (["templates": ["success": "{{ arguments.first2 }}"]], "uses the unknown name \"arguments.first2\""),
            // Stencil would end the process.
            (["templates": ["success": "{{ arguments.last }}"]], "uses the unknown name \"arguments.last\""),
            (["templates": ["success": "{{ arguments[user] }}"]], "uses the unknown name \"arguments[user]\""),
            (["templates": ["success": "{{ output|indent:4 }}"]], "is not a valid template"),
            (
                ["templates": ["success": "{% for x in 1...args.last %}{% endfor %}"]],
                "uses the range \"1...args.last\"; templates have none"
            ),
            (["templates": ["success": "{% for i in 1...1000000000 %}x{% endfor %}"]], "uses the range"),
            (["templates": ["success": .string(String(repeating: "x", count: 16_385))]], "is longer than 16384 bytes"),
            (
                [
                    "templates": [
                        "success": .string(
                            "{% if \(String(repeating: "(", count: 5_000))isim\(String(repeating: ")", count: 5_000)) %}x{% endif %}"
                        )
                    ]
                ], "contains more than 20 parentheses within each other"
            ),
            (
                [
                    "templates": [
                        "success": .string("{% if \(String(repeating: "not ", count: 3_000))isim %}x{% endif %}")
                    ]
                ],
                "contains a tag with more than 100 words"
            ),
            (
                [
                    "templates": [
                        "success": .string(
                            String(repeating: "{% if isim %}", count: 500)
                                + String(repeating: "{% endif %}", count: 500))
                    ]
                ], "contains more than 20 tags within each other"
            ),
            (
                [
                    "templates": [
                        "success":
                            "{% for a in arguments %}{% for b in arguments %}{{ a }}{% endfor %}{% endfor %}"
                    ]
                ], "contains a loop within a loop"
            ),
            (["templates": ["success": "{{ jobid - 1 }}"]], "contains - in {{, which has no meaning there"),
            (["templates": ["success": "{{ jobid + 1 }}"]], "contains + in {{, which has no meaning there"),
            (["templates": ["success": "{{ output| }}"]], "contains a | without a filter"),
            (["templates": ["success": "{{ |output }}"]], "contains a | without a value"),
            (
                ["templates": ["success": "{{ arguments|join:arguments }}"]],
                "uses the list \"arguments\" as the argument"
            ),
            (
                ["templates": ["success": "{% for a in output %}[{{ a }}]{% endfor %}"]],
                "loops over \"output\", which is not a list"
            ),
            (["templates": ["success": "{{ user channel }}"]], "contains {{ user channel }}, which is always empty"),
            (["templates": ["success": "{{ user\"x\" }}"]], "contains {{ user\"x\" }}, which is always empty"),
            (
                ["templates": ["success": "{% if isim %}{{ nil }}{% endif %}"]],
                "contains {{ nil }}, which is always empty"
            ),
            (
                ["templates": ["success": "{% for a in arguments %}{{ a }}{{ a user }}{% endfor %}"]],
                "contains {{ a user }}, which is always empty"
            ),
            (
                ["templates": ["success": "{% for a in arguments|join:\"\" %}{{ a }}{% endfor %}"]],
                "loops over a list with a filter"
            ),
            (["secrets": ["--a b"]], "secrets[0]: must be one word"), (["secrets": ["1"]], "write 1 for the number"),
            (["answer": "reply"], "jobs.commands.x.answer: must be one of \"text\", \"json\", not \"reply\""),
            (["args": ["a", "b\0"]], "jobs.commands.x.args[1]: must not contain a NUL character"),
            (["command": "ls -l"], "is not in PATH; the arguments belong into args"),
            (["command": "/bin/ls -l"], "/bin/ls -l does not exist; the arguments belong into args"),
            (["command": "~bob/x"], "~ is not replaced by a folder"),
            (["command": "~/x"], "~ is not replaced by a folder"),
            (["cwd": "/etc/passwd"], "/etc/passwd is not a folder"),
            (["env": ["A": .null]], "jobs.commands.x.env.A: must be a string, not null"),
            (["timeout": .number(0.5)], "jobs.commands.x.timeout: must be a whole number, not 0.5"),
            (["templates": ["success": "{% for x in arguments %}{% endfor %}{{ x }}"]], "uses the unknown name \"x\""),
            (
                ["templates": ["success": "{% if jobid == 77 %}{{ output|any_value }}{% endif %}"]],
                "is not a valid template"
            ),
            (["templates": ["success": "{{ user|default:\"a }}"]], "contains a tag with an unclosed \""),
            (["templates": ["success": "{% include \"x\" %}"]], "uses the unknown tag \"include\""),
            (["templates": ["success": "{#} {{ usr }} #}"]], "uses the unknown name \"usr\""),
            (["templates": ["success": "{{ 1|default:\"...100000000|default:\" }}"]], "contains ... in a tag"),
            (
                ["templates": ["success": .string("{{ user|\(String(repeating: "a", count: 600)) }}")]],
                "contains a tag of more than 500 characters"
            ),
            (["command": "/"], "/ is a folder"), (["command": "/etc/passwd"], "/etc/passwd is not executable"),
            (["templates": ["succes": "x"]], "unknown key; did you mean \"success\"?"),
            (["help": ["sumary": "x"]], "unknown key; did you mean \"summary\"?"),
            (["answer": "reply"], "must be one of \"text\", \"json\", not \"reply\""),
        ] as [([String: JSONValue], String)])
    func `A mistake in a command is reported with its place`(command: [String: JSONValue], problem: String) throws {
        let problems = try problems(ofCommand: command)
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }

    @Test(
        arguments: [
            (["pool": 0], "jobs.pool: must be from 1"),
            (["stop_timeout": 8], "jobs.stop_timeout: must be from 0 to 7, not 8"),
            (
                ["commands": ["a": ["command": "echo"], "A": ["command": "echo"]]],
                "jobs.commands.a: is the same name as \"A\""
            ),
            (
                ["prefix": "mb", "commands": ["MB": ["command": "echo"]]],
                "jobs.commands.MB: is the word in jobs.prefix"
            ), (["prefix": "a b"], "jobs.prefix: must be one word"),
            (["scripts": ["directory": "/usr", "allow": ["a*", "["]]], "jobs.scripts.allow[1]: contains [ without ]"),
            (["scripts": ["directory": "/usr", "deny": ["[]a"]]], "jobs.scripts.deny[0]: contains [ without ]"),
            (["messages": ["handshake": []]], "must contain at least one message"),
            (["reply_styles": ["success": "loud"]], "must be one of"), (["colors": ["warning": "x"]], "unknown key"),
            (["commands": ["a b": ["command": "echo"]]], "is not a name"),
            (["commands": ["\u{202E}a": ["command": "echo"]]], "jobs.commands. a: is not a name"),
            (["commands": ["__": ["command": "echo"]]], "jobs.commands.__: is not a name"),
            (["comands": [:]], "unknown key"),
            (["scripts": ["directory": "/", "answer": "reply"]], "jobs.scripts.answer: must be one of"),
            (
                ["scripts": ["directory": "/nonexistent", "cwd": "/etc/passwd"]],
                "jobs.scripts.cwd: /etc/passwd is not a"
            ),
            (["catops": ["plugins": ""]], "jobs.catops.plugins: must not be empty"),
            (["catops": ["plugins": "/etc/passwd"]], "jobs.catops.plugins: /etc/passwd is not a folder"),
            (["catops": ["plugins": "/", "python": ""]], "jobs.catops.python: must not be empty"),
            (["catops": ["plugins": "/", "secrets": [0]]], "jobs.catops.secrets[0]: must be the number"),
        ] as [(JSONValue, String)])
    func `A mistake in the section is reported with its place`(jobs: JSONValue, problem: String) throws {
        let problems = try problems(jobs)
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }

    @Test(arguments: ["[]]", "[!a]*", "[[]x", "\\[", "a]", "[a-c][]x]"])
    func `Sets of characters in the patterns of scripts may contain any character`(pattern: String) throws {
        let problems = try problems(["scripts": ["directory": "/nowhere", "allow": [.string(pattern)]]])
        #expect(!problems.contains { $0.contains("without ]") }, "\(problems)")
    }

    @Test func `Valid templates use loops, conditions, filters and every value`() throws {
        let template =
            "{% for item in arguments where item != user %}{{ forloop.counter }}{{ arguments.0 }}{{ arguments.count }} {{ item }}{% endfor %}{% if not isim and jobid > 0 %}"
            + "{{ user }}{{ userlink }}{{ userid }}{{ channel }}{{ channellink }}{{ channelid }}{{ command }}{{ args }}"
            + "{{ output|default:\"nothing\" }}{{ error }}{{ started|humanize_time }}{{ size|humanize_size }}"
            + "{{ arguments.700 }}{{ success.first }}{{ error|default:\"\" }}{{ isim }}{{ 5 }}"
            + "{{ duration|humanize_number }}{{ arguments|join:\", \" }}{{ success|any_value }}{% endif %}"
        #expect(
            try problems(ofCommand: ["auth_strategy": "any", "templates": ["success": .string(template)]]) == [])
    }

    @Test func `A command that nobody may run is reported, unless the file says that nobody may`() throws {
        #expect(
            try problems(["commands": ["x": ["command": "echo"]]]) == [
                "jobs.commands.x.auth_strategy: is not set, so nobody may run the command; set \"any\" for everyone, or \"group\" with allowed_groups"
            ])
        #expect(
            try problems(ofCommand: ["auth_strategy": "group", "allowed_groups": ["empty"]]) == [
                "jobs.commands.x.allowed_groups: nobody may run the command: the allowed_groups have no members"
            ])
        #expect(try problems(ofCommand: ["auth_strategy": "group", "allowed_groups": ["empty", "infra"]]) == [])
        #expect(try problems(ofCommand: ["auth_strategy": "none"]) == [])
    }

    @Test func `A command with an empty name is one error`() throws {
        #expect(try problems(["commands": ["": ["command": "echo", "auth_strategy": "any"]]]).count == 1)
    }

    @Test func `The names of built-in commands get the prefix`() throws {
        let (section, _) = try JobsHouse.settings(["prefix": "mb", "commands": ["jobs": ["command": "echo"]]])
        let names = JobsPlugIn([section]).outlines.flatMap(\.commands)
        #expect(names.contains("mb jobs") && names.contains("jobs") && !names.contains("tail"))
    }
}
