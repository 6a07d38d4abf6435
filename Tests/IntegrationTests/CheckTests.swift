import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The output of `petrel check` for various configurations.
@Suite(.timeLimit(.minutes(30))) struct CheckTests {
    private static let slack: JSONValue = ["slack": ["bot_token": "xoxb-1", "app_token": "xapp-1"]]

    private static let base: [String: JSONValue] = [
        "backends": ["text": ["format": "jsonl"]],
        "stackstorm": [
            "auth_url": "https://st2.example.com/auth/v1", "api_url": "https://st2.example.com/api/v1",
            "stream_url": "https://st2.example.com/stream/v1", "api_auth": ["token": "t"],
        ],
    ]

    /// Returns the base with more keys, merged one level deep; sections of backends replace those of the base.
    private static func check(_ more: JSONValue, in folder: URL) async throws -> (status: Int32, output: String) {
        var object = base
        for (key, value) in more.object ?? [:] {
            guard key != "backends", let old = object[key]?.object, let new = value.object else {
                object[key] = value
                continue
            }
            object[key] = .object(old.merging(new) { _, new in new })
        }
        try Data(try JSONValue.encode(object)).write(to: folder.appendingPathComponent("config.json"))
        return await (try Program(["check"], in: folder, environment: ["PETREL_EMPTY": ""])).end()
    }

    @Test func `no rule is called useless while a program may add commands`() async throws {
        try await withFolder { folder in
            let modules: JSONValue = ["m": ["command": ["sh"]]]
            let rules: JSONValue = [
                ["command": "freeze*", "allowusers": ["@a"]], ["command": "m:thaw"], ["command": "*"],
            ]
            let (status, output) = try await Self.check(["modules": modules, "access_controls": rules], in: folder)
            #expect(status == 0)
            #expect(!output.contains("never"))
            let explain = try Program(["explain", "--user", "@a", "freeze now"], in: folder)
            #expect(await explain.end().output.contains("only the running bot knows the commands"))
        }
    }

    @Test func `a name that another module has is shown by check, explained by the status, and logged`() async throws {
        try await withFolder { folder in
            let program = """
                import json, sys
                for line in sys.stdin:
                    message = json.loads(line)
                    names = ["tea", "uptime"] if sys.argv[1] == "b" else ["tea"]
                    commands = [{"name": name, "summary": "Drink."} for name in names]
                    result = {"protocol": 1, "commands": commands} if message.get("method") == "hello" else {}
                    if "method" in message and "id" in message:
                        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
                """
            try Data(program.utf8).write(to: folder.appendingPathComponent("tea.py"))
            let command = { (name: String) -> JSONValue in ["command": ["python3", "tea.py", .string(name)]] }
            let configuration: JSONValue = [
                "backends": ["text": ["user": "@you"]], "modules": ["a": command("a"), "b": command("b")],
                "admins": ["@you"],
            ]
            let file = folder.appendingPathComponent("config.json")
            try Data(try JSONValue.encode(configuration)).write(to: file)
            let before = await (try Program(["check"], in: folder)).end()
            #expect(before.status == 0 && !before.output.contains("cannot be called"), "\(before.output)")
            let bot = try Program(["run"], in: folder)
            #expect(await bot.error(with: "The command “tea” of the module b cannot be called") != nil)
            bot.type("!status")
            #expect(
                await bot.line(with: "commands of b")
                    == "FAIL commands of b: cannot be called: “tea” belongs to a, “uptime” belongs to builtins")
            bot.closeInput()
            #expect(await bot.end().status == 0)
            let (status, output) = await (try Program(["check"], in: folder)).end()
            #expect(status == 0)
            for (name, owner) in [("tea", "a"), ("uptime", "builtins")] {
                #expect(
                    output.contains(
                        "config.json: warning: modules.b: declares the command \"\(name)\", which cannot be called: the module \"\(owner)\" has a command of this name"
                    ), "\(output)")
            }
        }
    }

    @Test(arguments: [
        (#"{"stackstorm": {"api_url": "http://st2.example.com/api/v1"}}"#, "stackstorm.api_url: is http:// to another"),
        (#"{"web": {"host": "0.0.0.0"}}"#, "web.host: 0.0.0.0 accepts connections from other hosts"),
        (#"{"modules": {"m": {"command": ["./none"]}}}"#, "modules.m.command[0]: the file"),
        (#"{"modules": {"m": {"command": ["no-such-program"]}}}"#, "is not in PATH"),
        (#"{"web": {"webhook_secret": "x"}}"#, "web.webhook_secret: has fewer than 16"),
        (#"{"web": {"webhook_secret": ""}}"#, "web.webhook_secret: is empty"),
        (#"{"web": {"trusted_proxies": ["0.0.0.0/0"]}}"#, "web.trusted_proxies[0]: 0.0.0.0/0 contains every address"),
        (#"{"web": {"trusted_proxies": ["::/0"]}}"#, "web.trusted_proxies[0]: ::/0 contains every address"),
        (
            #"{"web": {"trusted_proxies": ["128.0.0.0/1"]}}"#,
            "web.trusted_proxies[0]: 128.0.0.0/1 contains a large part of"
        ),
        (#"{"stackstorm": {"templates": "never"}}"#, "stackstorm.templates: is never: workflows evaluate"),
        (
            #"{"web": {"webhook_secret": {"env": "PETREL_EMPTY"}}}"#,
            "the environment variable PETREL_EMPTY is set, but empty"
        ),
        (
            #"{"bot": {"prefix": ""}, "backends": {"slack": {"bot_token": "xoxb-1", "app_token": "xapp-1"}}}"#,
            "bot.prefix: is empty"
        ),
        (
            #"{"backends": {"slack": {"bot_token": "xoxb-1", "app_token": "xapp-1"}}}"#,
            "access_controls: is empty: everyone who can write to the bot on slack"
        ),
    ]) func `check warns about settings that are probably not intended`(more: String, expected: String) async throws {
        try await withFolder { folder in
            let (status, output) = try await Self.check(try JSONValue.parse(more.utf8), in: folder)
            #expect(status == 0)
            #expect(output.components(separatedBy: expected).count == 2, "\(output)")
        }
    }

    /// SwiftNIO ends the process for such a port of an IP address.
    @Test(arguments: [99_999, 65_536, 0]) func `a port that no connection can have is refused`(port: Int) async throws {
        try await withFolder { folder in
            let (status, output) = try await Self.check(
                ["stackstorm": ["api_url": .string("http://127.0.0.1:\(port)/v1")]], in: folder)
            #expect(status == 1)
            #expect(output.contains("stackstorm.api_url: must have a port from 1 to 65535, if it has one"), "\(output)")
        }
    }

    @Test func `open suppresses the warning about missing rules, and the terminal causes none`() async throws {
        try await withFolder { folder in
            let open = try await Self.check(["open": true, "backends": Self.slack], in: folder)
            #expect(open.status == 0 && !open.output.contains("access_controls"), "\(open.output)")
            let terminal = try await Self.check([:], in: folder)
            #expect(terminal.status == 0 && !terminal.output.contains("access_controls"), "\(terminal.output)")
        }
    }

    @Test func `default_backend and the user map must name configured backends`() async throws {
        try await withFolder { folder in
            let wrong = try await Self.check(["stackstorm": ["default_backend": "slak"]], in: folder)
            #expect(wrong.status == 1 && wrong.output.contains("no backend is named slak; the backends are text"))
            let login: JSONValue = ["user": ["name": "petrel", "password": "x"]]
            for (person, user, problem) in [
                ("slak/U7", "alice", "users.slak/U7: matches no user: no backend is named slak"),
                ("text/@alice", "petrel", "users.text/@alice: is the bot's own account"),
            ] {
                let users: JSONValue = .object([person: .string(user)])
                let (status, output) = try await Self.check(
                    ["stackstorm": ["api_auth": login, "rbac_auth": ["impersonate": ["users": users]]]], in: folder)
                #expect(status == 1 && output.contains(problem), "\(output)")
            }
            let users: JSONValue = ["slack/U7": "alice", "slack/@bob": "bob", "text/@alice": "alice"]
            let (status, output) = try await Self.check(
                [
                    "backends": ["slack": ["bot_token": "xoxb-1", "app_token": "xapp-1"], "text": [:]],
                    "stackstorm": ["api_auth": login, "rbac_auth": ["impersonate": ["users": users]]],
                ], in: folder)
            #expect(status == 0, "\(output)")
            for text in [
                "users.slack/@bob: matches no user: users of slack are identified by ID",
                "“petrel” must be a service in StackStorm",
            ] { #expect(output.contains(text), "\(output)") }
            #expect(!output.contains("slack/U7") && !output.contains("text/@alice"))
        }
    }

    @Test func `a second module of the same name is reported once, without its commands`() async throws {
        try await withFolder { folder in
            let one = try #require(Self.base["stackstorm"])
            let (status, output) = try await Self.check(["stackstorm": [one, one]], in: folder)
            #expect(status == 1)
            let lines = output.split(separator: "\n")
            #expect(lines.count { $0.contains("creates a second") } == 1, "\(output)")
            #expect(output.contains("creates a second module"), "\(output)")
        }
    }

    @Test func `check and run report a store in a folder that does not exist`() async throws {
        try await withFolder { folder in
            let (status, output) = try await Self.check(["store": ["path": "no/such/petrel.db"]], in: folder)
            #expect(status == 1 && output.contains("store.path: "), "\(output)")
            #expect(await (try Program(["run"], in: folder)).end().status == 78)
        }
    }

    @Test func `the example is valid and allows StackStorm commands only for administrators`() async throws {
        let example = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("config.example.json")
        try await withFolder { folder in
            try FileManager.default.copyItem(at: example, to: folder.appendingPathComponent("config.json"))
            let environment = ["ST2_PASSWORD": "secret"]
            let (status, output) = await (try Program(["check"], in: folder, environment: environment)).end()
            #expect(status == 0 && output.contains("the configuration is valid"), "\(output)")
            func explain(_ person: String) async throws -> String {
                try await Program(
                    ["explain", "--user", person, "st2 echo x"], in: folder, environment: environment
                ).end().output
            }
            #expect(try await explain("@mallory").contains("does not allow @mallory"))
            #expect(try await !explain("@alice").contains("does not allow"))
        }
    }
}
