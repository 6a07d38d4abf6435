import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The limits of aliases, and the warnings about them.
@Suite struct AliasTests {
    private static let settings: JSONValue = [
        "commands": ["odd": ["command": "echo", "auth_strategy": "any", "no_handshake": true]],
        "templates": ["success": "{% if output %}{{ output }}{% else %}done{% endif %}"],
    ]

    @Test func `The command of an alias has a maximum length`() async throws {
        try await JobsHouse(Self.settings).run { house in
            let longest = "odd " + String(repeating: "y", count: 996)
            #expect(await house.ask("!alias x \(longest)") == "alias created successfully\n")
            #expect(
                await house.ask("!alias y \(longest)z")
                    == "The command of an alias has at most 1000 bytes, and this one has 1001.")
            #expect(await house.ask("!aliases") == "- x - \(longest.prefix(200))…\n")
            // The line has the limits of a line together with the alias.
            let rest = String(repeating: "z", count: 16_000)
            #expect(await house.ask("!x \(rest)").hasPrefix("This line is too long: it has 17001 bytes"))
        }
    }

    @Test func `A list of many aliases is short`() async throws {
        try await JobsHouse(Self.settings, traits: BackendTraits(maximumLength: 20_000)).run { house in
            for number in 1...50 {
                let line = "!alias x\(number) odd \(String(repeating: "y", count: 900))"
                #expect(await house.ask(line).contains("created"))
            }
            // Each line has its share of the list.
            let list = await house.ask("!aliases")
            #expect(list.split(separator: "\n").count == 50 && list.utf8.count < 9_000)
            #expect(list.hasPrefix("- x1 - odd yyy") && list.hasSuffix("y…\n"))
        }
    }

    @Test(arguments: [
        (#"alias "two words" odd args"#, #"“"two” is not a name: use one word without quotation marks."#),
        ("alias 'x odd", "“'x” is not a name"),
        ("alias x nosuch a", "Warning: there is no such command at the moment."),
        ("alias odd jobs", "Warning: it hides the command odd from you"), ("alias x odd 'a", "Unclosed quote"),
    ])
    func `An alias that is not meant so is refused, or warned of`(line: String, reply: String) async throws {
        try await JobsHouse(Self.settings).run { house in
            let text = await house.ask("!\(line)")
            #expect(text.contains(reply), "\(text)")
        }
    }
}
