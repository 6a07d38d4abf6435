import PetrelKit
import PetrelSupport
import Testing

@testable import PetrelCore

@Suite struct CommandTests {
    @Test(arguments: [
        ("  st2 echo  hi  ", "st2 echo  hi", "st2 echo hi"),
        ("st2 run “a b”\u{A0}‘c’", "st2 run \"a b\" 'c'", "st2 run \"a b\" 'c'"),
        ("st2 echo one\n  two\n", "st2 echo one\n  two", "st2 echo one two"),
        ("\u{3000}\t", "", ""), ("\u{200B}\u{FEFF}st2 x\u{2060} ", "st2 x", "st2 x"),
        ("grüße 🚀", "grüße 🚀", "grüße 🚀"),
    ]) func `a message has two normal forms`(raw: String, text: String, line: String) {
        let command = CommandText(raw)
        #expect(command.text == text)
        #expect(command.line == line)
    }

    private static let prefixes = Prefixes(
        prefix: "!", alternates: ["petrel", "hey bot"], isOptionalInDirectChats: true)

    @Test(
        arguments: [
            ("!status", "status"), ("! status", "status"), ("petrel: status", "status"), ("Petrel status", "status"),
            ("hey bot, status", "status"), ("petrel: !status", "status"), ("!\u{200B}status", "status"),
            ("petrel:\u{200B} status", "status"), ("!\u{301}status", "\u{301}status"),
            ("petrels status", nil), ("status", nil), ("petrel", ""),
        ] as [(String, String?)]) func `the bot is addressed by its prefix or its name`(text: String, rest: String?)
    {
        let message = ChatMessage(
            id: "1", sender: Person(id: "u", name: "@u"), room: Room(id: "r", name: "#r"), text: text)
        #expect(Self.prefixes.strip(text, from: message) == rest)
    }

    @Test func `the prefix is optional in a direct chat and after a mention`() {
        let direct = ChatMessage(id: "1", sender: Person(id: "u", name: "@u"), text: "status")
        #expect(Self.prefixes.strip("status", from: direct) == "status")
        #expect(Prefixes().strip("status", from: direct) == nil)
        var mention = direct
        mention.room = Room(id: "r", name: "#r")
        mention.isAddressed = true
        #expect(Prefixes().strip("status", from: mention) == "status")
    }

    private static func command(_ name: String) -> Command { Command(name, summary: name) { _ in nil } }

    @Test func `names that another module has are conflicts`() {
        var other = Self.command("d")
        other.otherNames = ["B", "d", "e"]
        let registry = CommandRegistry()
        #expect(registry.publish([Self.command("a b"), Self.command("b")], from: "one").isEmpty)
        let conflict = CommandTable.Conflict(module: "two", name: "A_B", owner: "one")
        #expect(registry.publish([Self.command("A_B"), Self.command("c")], from: "two") == [conflict])
        let more = CommandTable.Conflict(module: "three", name: "B", owner: "one")
        #expect(registry.publish([other], from: "three") == [more])
        #expect(registry.table.conflicts == [conflict, more])
        #expect(registry.table.find("b")?.entry.module == "one" && registry.table.find("e")?.entry.module == "three")
        #expect(registry.publish([Self.command("c")], from: "one").map(\.module) == ["two"])
        #expect(registry.publish([], from: "one").isEmpty && registry.table.conflicts.isEmpty)
    }

    private static let table = CommandTable([
        ("a", command("st2")), ("a", command("st2help")), ("a", command("st2session_start")), ("b", command("help")),
    ])

    @Test(
        arguments: [
            ("st2 pack list", "st2", "pack list"), ("ST2  run a\n b", "st2", "run a\n b"), ("st2", "st2", ""),
            ("st2help --pack x", "st2help", "--pack x"), ("st2session start word", "st2session_start", "word"),
            ("st2session_start word", "st2session_start", "word"), ("st2\u{200B} x", "st2", "x"),
            ("help st2", "help", "st2"),
            ("st2_pack list", nil, ""),
            ("helpme", nil, ""), ("", nil, ""),
        ] as [(String, String?, String)]) func `the longest command name matches, and it ends at white space`(
            text: String, name: String?, arguments: String
        )
    {
        let match = Self.table.find(text)
        #expect(match?.entry.command.name == name)
        if name != nil { #expect(match?.arguments == arguments) }
    }

    @Test func `the command with the empty name matches all other lines`() {
        let table = CommandTable([("a", Self.command("")), ("b", Self.command("help"))])
        #expect(table.find("pack list")?.entry.command.name == "")
        #expect(table.find("pack list")?.arguments == "pack list")
        #expect(table.find("help me")?.entry.command.name == "help")
    }

    @Test func `publishing replaces a module's commands in one step`() {
        let registry = CommandRegistry()
        registry.publish([Self.command("a"), Self.command("b")], from: "m")
        let before = registry.table
        registry.publish([Self.command("c")], from: "m")
        #expect(before.find("a") != nil)
        #expect(registry.table.find("a") == nil)
        #expect(registry.table.find("c") != nil)
        #expect(registry.publish([Self.command("c")], from: "n").map(\.name) == ["c"])
    }

    @Test func `similar names are suggested`() {
        #expect(Nearness.nearest(to: "uptmie", among: ["uptime", "status", "help"]) == ["uptime"])
        #expect(Nearness.nearest(to: "zzz", among: ["uptime", "status"]).isEmpty)
        #expect(Nearness.nearest(to: String(repeating: "x", count: 100_000), among: ["x"]).isEmpty)
    }
}
