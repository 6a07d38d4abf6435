import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore

@Suite(.timeLimit(.minutes(30))) struct AccessTests {
    static func settings(_ json: JSONValue) -> (AccessSettings, [SettingsProblem], [SettingsProblem]) {
        let context = SettingsContext(folder: URL(fileURLWithPath: "/nowhere"), environment: [:])
        let root = SettingsSection(json.object ?? [:], at: "", in: context)
        let bot = root.section("bot")
        let settings = AccessSettings(root, bot: bot, botName: bot.string("name", default: "petrel"))
        bot.finish()
        root.finish()
        return (settings, context.problems, context.warnings)
    }

    private static func access(_ json: JSONValue) throws -> AccessControl {
        let (settings, problems, _) = settings(json)
        try #require(problems.isEmpty, "\(problems)")
        return settings.control(modules: ["builtins", "st2"])
    }

    /// The example of err-stackstorm's documentation, which matches nothing there.
    static let example: JSONValue = [
        "bot": ["name": "bot_user"],
        "groups": ["infra": ["@admin1", "@admin2", "@admin3", "@admin4"], "apu": ["@user1"], "everyone": ["*"]],
        "access_controls": [
            ["command": "whoami", "allowrooms": ["@bot_user"], "allowusers": ["group:everyone"]],
            ["command": "st2 apu status*", "allowrooms": ["#channel"], "allowusers": ["group:infra", "group:apu"]],
            ["command": "st2 apu*", "allowrooms": ["#channel"], "allowusers": ["group:infra"]],
        ],
    ]

    private static let lines = [
        "whoami", "st2 apu status web", "st2  apu \t status\u{A0}web", "st2 apu\nstart web", "ST2 Apu START web",
        "st2 apu “start” web",
    ]

    /// The expected decisions of the example, written without the code under test.
    private static func reads(_ user: String, _ room: String?, _ line: Int) -> Bool {
        switch line {
        case 0: room == nil
        case 1, 2: room == "#channel" && (user == "@admin1" || user == "@user1")
        default: room == "#channel" && user == "@admin1"
        }
    }

    private struct Module: BotModule {
        var name: String
        var commands: [Command]
    }

    private static func echo(_ name: String) -> Command {
        Command(name, summary: "") { Reply("ran \($0.command): \($0.arguments)") }
    }

    @Test func `the documented example has the documented effect: 3 users, 4 rooms, 6 lines`() async throws {
        let policy = Dispatcher.Policy(access: try Self.access(Self.example))
        let backend = RecordingBackend()
        let modules = [
            Module(name: "builtins", commands: [Self.echo("whoami")]),
            Module(name: "st2", commands: [Self.echo("st2")]),
        ]
        let host = try TestHost([backend], policy: policy)
        try await host.run(modules) {
            for user in ["@admin1", "@user1", "@outsider"] {
                for room in ["#channel", "#other", "#channel2", nil] {
                    for (number, line) in Self.lines.enumerated() {
                        backend.type("!" + line, as: user, in: room)
                        let reply = try #require(await backend.next()?.reply)
                        let place = room ?? "direct"
                        #expect(
                            reply.text.hasPrefix("ran ") == Self.reads(user, room, number), "\(user) \(place) \(line)")
                        #expect(reply.isPrivate == !reply.text.hasPrefix("ran "))
                    }
                }
            }
        }
        #expect(host.audit.all.reduce(0) { $0 + $1.repeats + 1 } == 72)
        #expect(host.audit.all.allSatisfy { $0.rule != nil })
    }

    @Test(arguments: [
        "st2  bench1 x", "st2\tbench1 x", "st2\nbench1 x", "ST2 bench1 x", "st2 \u{1C} bench1 x", "st2\u{2003}bench1 x",
        "st2\r\nbench1\u{85}x", " st2 bench1 x ",
    ]) func `denyargs cannot be bypassed with white space or case`(line: String) async throws {
        let access = try Self.access(["access_controls": [["command": "st2*", "denyargs": ["st2 bench1 *"]]]])
        let backend = RecordingBackend()
        try await TestHost([backend], policy: .init(access: access)).run([
            Module(name: "st2", commands: [Self.echo("st2")])
        ]) {
            backend.type("!" + line)
            #expect(await backend.next()?.reply.text.hasPrefix("You may not run this") == true)
        }
    }

    @Test func `the whole text is evaluated, and the whole text runs`() async throws {
        let access = try Self.access([
            "access_controls": [["command": "st2*", "allowargs": ["st2 bench1 list", "st2 bench1 list *"]]]
        ])
        let backend = RecordingBackend()
        try await TestHost([backend], policy: .init(access: access)).run([
            Module(name: "st2", commands: [Self.echo("st2")])
        ]) {
            backend.type("!st2 bench2 evil\nst2 bench1 list")
            #expect(await backend.next()?.reply.text.hasPrefix("You may not run this") == true)
            backend.type("!st2 bench1 list\n  more")
            #expect(await backend.next()?.reply.text == "ran st2: bench1 list\n  more")
        }
    }

    @Test func `a command name matches with _ and with a space`() throws {
        let table = CommandTable([("st2", Command("st2session_start", summary: "") { _ in nil })])
        for rule in ["st2session_start*", "st2session start*", "ST2SESSION_*"] {
            let access = try Self.access(["access_controls": [["command": .string(rule), "allowusers": []]]])
            for line in ["st2session_start x", "st2session start x", "St2Session  Start x"] {
                let match = try #require(table.find(line))
                let question = match.question(by: Person(id: "@a", name: "@a"), in: nil, on: "text")
                #expect(!access.decide(question).isAllowed, "\(rule) \(line)")
            }
        }
    }

    private static func decide(
        _ access: AccessControl, _ line: String, as person: Person = Person(id: "U1", name: "@bob"),
        in room: Room? = Room(id: "C1", name: "#ops"), module: String = "st2"
    ) -> AccessDecision {
        access.decide(.init(person: person, room: room, backend: "slack", module: module, lines: [line]))
    }

    @Test func `users and rooms match by id, by name, and with their backend`() throws {
        for (key, entry) in [
            ("allowusers", "U1"), ("allowusers", "@bob"), ("allowusers", "slack/@bob"), ("allowusers", "sl*/U?"),
            ("allowrooms", "C1"), ("allowrooms", "#ops"), ("allowrooms", "slack/C1"),
        ] {
            let access = try Self.access(["access_controls": [["command": "*", .init(key): [.string(entry)]]]])
            #expect(Self.decide(access, "st2 x").isAllowed, "\(key) \(entry)")
        }
        for entry in ["xmpp/@bob", "@BOB", "bob", "U", "@bo"] {
            let access = try Self.access(["access_controls": [["command": "*", "allowusers": [.string(entry)]]]])
            #expect(!Self.decide(access, "st2 x").isAllowed, "\(entry)")
        }
        let byID = try Self.access([
            "bot": ["match_names": false], "access_controls": [["command": "*", "allowusers": ["@bob"]]],
        ])
        #expect(!Self.decide(byID, "st2 x").isAllowed)
    }

    @Test func `a direct chat is the room with the bot's name`() throws {
        let rooms = try Self.access(["access_controls": [["command": "*", "allowrooms": ["#ops"]]]])
        #expect(!Self.decide(rooms, "st2 x", in: nil).isAllowed)
        let direct = try Self.access(["access_controls": [["command": "*", "allowrooms": ["@petrel"]]]])
        #expect(Self.decide(direct, "st2 x", in: nil).isAllowed)
        #expect(!Self.decide(direct, "st2 x").isAllowed)
        let muc = try Self.access(["access_controls": [["command": "*", "allowmuc": false]]])
        #expect(!Self.decide(muc, "st2 x").isAllowed && Self.decide(muc, "st2 x", in: nil).isAllowed)
        let noDirect = try Self.access(["access_controls": [["command": "*", "allowprivate": false]]])
        #expect(Self.decide(noDirect, "st2 x").isAllowed && !Self.decide(noDirect, "st2 x", in: nil).isAllowed)
        let denied = try Self.access(["access_controls": [["command": "*", "denyrooms": ["@petrel"]]]])
        #expect(Self.decide(denied, "st2 x").isAllowed && !Self.decide(denied, "st2 x", in: nil).isAllowed)
    }

    @Test func `the first rule decides, the default supplies missing keys, and an empty list denies`() throws {
        let access = try Self.access([
            "access_controls": [
                ["command": "builtins:*", "allowusers": []], ["command": "st2 a*", "allowusers": ["@bob"]],
                ["command": "st2 a*", "allowusers": []], ["command": "st2 b*", "denyusers": ["@eve"]],
            ],
            "access_controls_default": ["allowusers": ["@carol"], "allowrooms": ["#ops"]],
        ])
        let own = Self.decide(access, "st2 a x")
        #expect(own.isAllowed && own.rule?.index == 1)
        #expect(Self.decide(access, "st2 a x", in: Room(id: "C2", name: "#x")).ground == .room)
        let merged = Self.decide(access, "st2 b x")
        #expect(!merged.isAllowed && merged.rule?.index == 3 && merged.ground == .user)
        let none = Self.decide(access, "st2 c")
        #expect(!none.isAllowed && none.rule == nil)
        #expect(none.reason == "no rule matches, and access_controls_default does not allow @bob")
        #expect(Self.decide(access, "help", module: "builtins").rule?.index == 0)
        #expect(Self.decide(try Self.access([:]), "anything").ground == .open)
    }

    @Test func `administrators' commands and logins require an identity that is bound to an account`() throws {
        let access = try Self.access(["admins": ["group:a"], "groups": ["a": ["@bob"]]])
        var question = AccessControl.Question(
            person: Person(id: "room@host/bob", name: "@bob", isStable: false), room: nil, backend: "xmpp", module: "m",
            lines: ["audit"])
        question.isAdminOnly = true
        #expect(access.decide(question).ground == .admin)
        question.isAdminOnly = false
        question.needsStableIdentity = true
        #expect(access.decide(question).ground == .identity)
        question.person.isStable = true
        question.isAdminOnly = true
        #expect(access.decide(question).isAllowed)
    }

    @Test(arguments: [
        (#"{"access_controls": {"st2*": {}}}"#, "access_controls: must be a list of rules"),
        (
            #"{"access_controls": [{"command": "x", "alowusers": []}]}"#,
            #"access_controls[0].alowusers: unknown key; did you mean "allowusers"?"#
        ),
        (
            #"{"access_controls": [{"command": "x", "allowusers": {"a": 1}}]}"#,
            "access_controls[0].allowusers: must be a list of strings, not an object"
        ),
        (
            #"{"access_controls": [{"command": "x", "allowusers": "@a"}]}"#,
            "access_controls[0].allowusers: must be a list of strings, not a string"
        ),
        (
            #"{"access_controls": [{"command": "x", "allowusers": null}]}"#,
            "access_controls[0].allowusers: must not be null"
        ),
        (
            #"{"access_controls": [{"command": "x", "allowprivate": null}]}"#,
            "access_controls[0].allowprivate: must not be null"
        ),
        (
            #"{"access_controls": [{"command": "x", "allowprivate": 1}]}"#,
            "access_controls[0].allowprivate: must be true or false"
        ),
        (
            #"{"access_controls": [{"command": "x", "allowusers": [5]}]}"#,
            "access_controls[0].allowusers[0]: must be a string, not a number"
        ),
        (
            #"{"access_controls": [{"command": "x", "allowusers": [""]}]}"#,
            "access_controls[0].allowusers[0]: must not be empty"
        ),
        (#"{"access_controls": [{"allowusers": []}]}"#, "access_controls[0].command: is required"),
        (#"{"access_controls": [{"command": ""}]}"#, "access_controls[0].command: must not be empty"),
        (#"{"access_controls": ["x"]}"#, "access_controls[0]: must be an object, not a string"),
        (#"{"access_controls": null}"#, "access_controls: must not be null"),
        (#"{"access_controls_default": []}"#, "access_controls_default: must be an object"),
        (#"{"access_controls_default": null}"#, "access_controls_default: must not be null"),
        (
            #"{"groups": {"infra": ["@a"]}, "admins": ["group:infa"]}"#,
            #"admins[0]: there is no group "infa"; did you mean "infra"?"#
        ),
        (#"{"groups": {"a": ["group:b"], "b": ["group:a"]}}"#, "groups.a: contains itself: a → b → a"),
        (#"{"groups": ["a"]}"#, "groups: must be an object"),
    ]) func `a malformed rule is an error with its location`(text: String, expected: String) throws {
        let (_, problems, _) = Self.settings(try JSONValue.parse(text.utf8))
        #expect(problems.contains { $0.description.hasPrefix(expected) }, "\(problems)")
    }

    @Test func `help and suggestions show only commands that the user may run`() async throws {
        let access = try Self.access([
            "access_controls": [
                ["command": "st2 open*"], ["command": "st2*", "allowusers": ["@admin"]],
                ["command": "secret*", "allowusers": []],
            ]
        ])
        let backend = RecordingBackend()
        let shown = Locked<[String]>([])
        let help = Locked<(any CommandListing)?>(nil)
        let list = Command("list", summary: "") { invocation in
            let help = try #require(help.value)
            shown.withLock { $0 = help.commands(for: invocation).map(\.name) }
            return Reply("\(help.shows("st2 close <x>", to: invocation))")
        }
        let st2 = Command("st2", summary: "", lines: { ["st2 open <x>", "st2 close <x>"] }) { _ in nil }
        let module = Module(name: "m", commands: [list, st2, Self.echo("secret")])
        let host = try TestHost([backend], policy: .init(access: access))
        help.withLock { $0 = host.access(for: "m").help }
        try await host.run([module]) {
            backend.type("!list")
            #expect(await backend.next()?.reply.text == "false")
            #expect(shown.value == ["list", "st2"])
            backend.type("!secre")
            #expect(await backend.next()?.reply.text.contains("Did you mean") == false)
        }
        let open = RecordingBackend()
        let other = try TestHost([open], policy: .init(access: access, hidesRefusals: true, hidesCommands: false))
        help.withLock { $0 = other.access(for: "m").help }
        try await other.run([module]) {
            open.type("!list")
            #expect(await open.next()?.reply.text == "true")
            #expect(shown.value == ["list", "secret", "st2"])
            let id = open.type("!secret x")
            #expect(await open.nextCompleted() != nil)
            #expect(await open.nextCompleted() == id)
            open.type("!list")
            #expect(await open.next()?.reply.text == "true")
        }
    }

    @Test func `a command without parameters is not run with arguments`() async throws {
        let backend = RecordingBackend()
        let bare = Command("bare", summary: "", takesNoArguments: true) { _ in Reply("ran") }
        let access = try Self.access(["access_controls": [["command": "bare", "allowrooms": ["@petrel"]]]])
        try await TestHost([backend], policy: .init(access: access)).run([Module(name: "m", commands: [bare])]) {
            backend.type("!bare", in: "#ops")
            #expect(await backend.next()?.reply.text.hasPrefix("You may not run this") == true)
            backend.type("!bare foo", in: "#ops")
            #expect(await backend.next()?.reply.text == "`!bare` takes no arguments.")
            backend.type("!bare", in: nil)
            #expect(await backend.next()?.reply.text == "ran")
        }
    }

    @Test func `administrators can be restricted to one backend`() throws {
        let access = try Self.access(["admins": ["xmpp/@root"]])
        let root = Person(id: "@root", name: "@root")
        #expect(access.isAdmin(root, on: "xmpp") && !access.isAdmin(root, on: "text"))
    }

    @Test func `every reading of a line must be allowed`() throws {
        let access = try Self.access([
            "access_controls": [["command": "st2 a*"], ["command": "st2 b*", "allowusers": []], ["command": "*"]]
        ])
        func decide(_ readings: [String]) -> AccessDecision {
            var question = AccessControl.Question(
                person: Person(id: "@a", name: "@a"), room: nil, backend: "text", module: "st2", lines: ["st2 a x"])
            question.readings = { readings.map { .lines([$0]) } }
            return access.decide(question)
        }
        #expect(decide([]).isAllowed && decide(["st2 c"]).isAllowed)
        let denied = decide(["st2 c", "st2 b x"])
        #expect(!denied.isAllowed && denied.rule?.index == 1)
        #expect(denied.reason.hasSuffix(", evaluated as the command parses this line"))

        let parts = try Self.access([
            "access_controls": [["command": "st2*", "allowargs": ["st2 a x b=1"], "denyargs": ["* prod"]]]
        ])
        var question = AccessControl.Question(
            person: Person(id: "@a", name: "@a"), room: nil, backend: "text", module: "st2", lines: ["st2 a x b=1"])
        question.readings = { [.part(["st2 a x"])] }
        #expect(parts.decide(question).isAllowed)
        question.readings = { [.part(["st2 a prod"])] }
        #expect(parts.decide(question).ground == .arguments)
        question.readings = { [.unforeseeable] }
        #expect(parts.decide(question).ground == .unforeseeable)
        #expect(try Self.access([:]).decide(question).isAllowed, "without rules every command is allowed")
    }

    @Test func `a secret argument is masked in the audit log, and a user who types it in a room is warned`()
        async throws
    {
        let backend = RecordingBackend()
        let command = Command("log_in", summary: "", isDirectOnly: true, masking: { _ in "•••" }) { _ in Reply("ok") }
        let host = try TestHost([backend])
        try await host.run([Module(name: "m", commands: [command])]) {
            backend.type("!log in hunter2", in: nil)
            #expect(await backend.next()?.reply.text == "ok")
            backend.type("!log in hunter2", in: "#ops")
            #expect(await backend.next()?.reply.text.contains("choose another") == true)
        }
        #expect(host.audit.all.map(\.line) == ["log_in •••", "log_in •••"])
        #expect(host.audit.all.map(\.isAllowed) == [true, false])
        #expect(host.audit.all.map(\.room) == [nil, "#ops"])
    }

    @Test(arguments: [
        ("note log in hunter2", "note log_in •••"), ("note -x log_in hunter2", "note -x log_in •••"),
        ("note 7 \"log in hunter2\"", "note 7 \"log_in •••"),
        ("note -command='log_in hunter2", "note -command='log_in •••"),
        ("note !log_in hunter2", "note !log_in •••"), ("note `LOG_IN` hunter2", "note `log_in •••"),
        ("note catalog in hunter2", "note catalog in hunter2"), ("note log hunter2 in", "note log hunter2 in"),
        ("note log_in", "note log_in"), ("note plain hunter2", "note plain hunter2"), ("note", "note"),
    ]) func `the secret in a line that a slip of the hand puts behind another command is masked`(
        line: String, audited: String
    ) async throws {
        let commands = [
            Command("log_in", summary: "", masking: { $0.isEmpty ? "" : "•••" }) { _ in Reply("ok") },
            Command("note", summary: "") { _ in Reply("noted") },
        ]
        let backend = RecordingBackend()
        let host = try TestHost([backend])
        try await host.run([Module(name: "m", commands: commands)]) {
            backend.type("!\(line)")
            #expect(await backend.next()?.reply.text == "noted")
        }
        #expect(host.audit.all.map(\.line) == [audited])
        #expect(host.host.masked(line) == audited)
    }

    @Test func `a line with many names of commands with secrets is masked without parsing each`() async throws {
        let count = Locked(0)
        let commands = [
            Command(
                "x", summary: "",
                parse: { line, _ in
                    count.withLock { $0 += 1 }
                    return ParsedLine(0, masked: line)
                }, handler: { _ in Reply("ok") }), Command("note", summary: "") { _ in Reply("noted") },
        ]
        let backend = RecordingBackend()
        let host = try TestHost([backend])
        try await host.run([Module(name: "m", commands: commands)]) {
            backend.type("!note" + String(repeating: " x", count: 8_000))
            #expect(await backend.next()?.reply.text == "noted")
        }
        #expect(host.audit.all.map(\.line) == ["note x x x x x x x x …"])
        #expect(count.value == 8)
    }
}
