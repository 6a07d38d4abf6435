import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelCore

/// The replies to lines that begin like commands of several words.
@Suite(.timeLimit(.minutes(10))) struct UnknownTests {
    private struct Module: BotModule {
        let name = "infra"
        var commands: [Command] = UnknownTests.commands
    }

    private static let commands = [
        Command("infra search", usage: "QUERY", summary: "Find *all* instances.") { _ in Reply("found") },
        Command("infra accounts", summary: "List the accounts.") { _ in Reply("listed") },
        Command("infra key rotate", summary: "Replace the key.", isAdminOnly: true) { _ in Reply("rotated") },
        Command("infra secret", summary: "Hidden.", isListed: false) { _ in nil },
        Command("job", summary: "Show a job.") { _ in Reply("job") },
    ]

    private static let both = """
        - `!infra accounts` — List the accounts.
        - `!infra search QUERY` — Find \\*all\\* instances.
        """

    @Test(arguments: [
        ("infra", "The command `!infra` is incomplete. These commands begin with it:\n\n\(both)"),
        ("INFRA_", "The command `!infra` is incomplete. These commands begin with it:\n\n\(both)"),
        ("infra help", "The command `!infra` is incomplete. These commands begin with it:\n\n\(both)"),
        ("infra --help", "The command `!infra` is incomplete. These commands begin with it:\n\n\(both)"),
        ("infra hunter2 hunter2", "Unknown command `!infra` …; these commands begin with it:\n\n\(both)"),
        // The second word is similar to that of a command.
        ("infra serch", "Unknown command “infra”. Did you mean `!infra search`? `!help` lists the commands."),
        ("inf", "Unknown command “inf”. `!help` lists the commands."),
        // An administrator's command is not mentioned.
        ("infra key", "Unknown command `!infra` …; these commands begin with it:\n\n\(both)"),
    ]) func `the commands that begin with the words of a line are listed`(line: String, reply: String) async throws {
        let backend = RecordingBackend(traits: BackendTraits(markdown: true))
        try await TestHost([backend], admins: ["@root"]).run([Module()]) {
            backend.type("!\(line)")
            let sent = try #require(await backend.next()).reply
            #expect(sent.text == reply && sent.kind == .error)
        }
    }

    @Test func `only commands that the person may run are listed`() async throws {
        let context = SettingsContext(folder: FileManager.default.temporaryDirectory, environment: [:])
        let rules: JSONValue = [
            "admins": ["@root"],
            "access_controls": [
                ["command": "infra search*", "allowusers": ["@bob"]],
                ["command": "infra acc*", "allowrooms": ["#dev"]],
            ],
        ]
        let settings = CoreSettings(SettingsSection(rules.object ?? [:], at: "", in: context))
        #expect(context.problems.isEmpty)
        let backend = RecordingBackend()
        try await TestHost([backend], policy: settings.policy(modules: ["infra"])).run([Module()]) {
            for (person, room, names) in [
                ("@alice", "#ops", []), ("@bob", "#ops", ["infra search QUERY"]),
                ("@alice", "#dev", ["infra accounts"]),
                ("@root", "#dev", ["infra accounts", "infra key rotate"]),
            ] {
                backend.type("!infra", as: person, in: room)
                let text = try #require(await backend.next()).reply.text
                let shown = text.split(separator: "\n").filter { $0.hasPrefix("- ") }
                #expect(shown.count == names.count && names.allSatisfy { text.contains("`!\($0)`") }, "\(text)")
                #expect(!names.isEmpty || text == "Unknown command “infra”. `!help` lists the commands.")
            }
        }
    }

    @Test func `a long list is cut`() async throws {
        let commands = (10..<30).map { number in Command("a \(number)", summary: "x") { _ in nil } }
        let backend = RecordingBackend()
        try await TestHost([backend]).run([Module(commands: commands)]) {
            backend.type("!a")
            let text = try #require(await backend.next()).reply.text
            #expect(text.contains("`!a 19`") && !text.contains("`!a 20`"))
            #expect(text.hasSuffix("\n\n… and 10 more; `!help` lists all commands."))
        }
    }

    @Test(arguments: [
        (Dispatcher.UnknownCommands.hint, ["!infra": true, "!infra x": true]),
        (.ignore, ["!infra": false, "!infra x": false]),
    ]) func `the setting for unknown commands applies`(
        unknown: Dispatcher.UnknownCommands, answers: [String: Bool]
    ) async throws {
        var policy = Dispatcher.Policy()
        policy.unknownCommands = unknown
        let backend = RecordingBackend()
        try await TestHost([backend], policy: policy).run([Module()]) {
            for (line, isAnswered) in answers {
                backend.type(line)
                if isAnswered { #expect(await backend.next()?.reply.text.contains("infra search") == true) }
                backend.type("!job")
                #expect(await backend.next()?.reply.text == "job")
                // In a direct chat, every line is for the bot.
                backend.type(line, in: nil)
                #expect(await backend.next()?.reply.text.contains("infra search") == true)
            }
        }
    }

    @Test func `after a slash command of this name, the commands are shown with it`() async throws {
        let backend = RecordingBackend()
        let host = try TestHost([backend])
        try await host.run([Module()]) {
            let person = Person(id: "U1", name: "@ann")
            for (slash, text, shown) in [
                ("/infra", "infra", "`/infra search QUERY`"), ("/bot", "bot infra", "`/bot infra search QUERY`"),
            ] {
                let message = ChatMessage(
                    id: slash, sender: person, room: Room(id: "C1", name: "#ops"), text: text, isAddressed: true,
                    slashCommand: slash)
                host.host.receive(message, from: "test")
                #expect(await backend.next()?.reply.text.contains(shown) == true)
            }
        }
    }
}
