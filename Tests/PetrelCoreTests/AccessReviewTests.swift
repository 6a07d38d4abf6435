import PetrelKit
import PetrelSupport
import Testing

@testable import PetrelCore

/// Warnings of `petrel check` about access rules.
@Suite struct AccessReviewTests {
    private static func warnings(
        _ json: JSONValue, changeable: [String] = [], names: [String: NameForms] = [:]
    ) -> [String] {
        let (settings, _, warnings) = AccessTests.settings(json)
        let review = AccessReview(
            settings: settings,
            commands: [
                .init(module: "builtins", name: "whoami"), .init(module: "st2", name: "st2"),
                .init(module: "st2", name: "st2session_start"),
            ], changeable: changeable, prefix: "!", names: names)
        return (warnings + review.warnings()).map(\.description)
    }

    @Test(arguments: [
        ("st3 apu*", "can never match: no command starts like this"), ("whoam", "can never match: no command"),
        ("st2  apu*", "can never match: lines have single spaces"), ("st2 “x”", "can never match: lines have single"),
        ("!st2 apu*", "can never match: rules are matched against the line without the prefix"),
        ("bulitins:*", "can never match: there is no module “bulitins”; the modules are builtins, st2"),
        ("st2 [a", "has a “[” without “]”"), ("st2 [z-a]", "so it matches nothing"),
        ("builtins:st2*", "can never match"),
    ]) func `check finds rules that can never match`(command: String, expected: String) {
        let found = Self.warnings(["access_controls": [["command": .string(command)]]])
        #expect(found.contains { $0.contains("access_controls[0].command") && $0.contains(expected) }, "\(found)")
    }

    @Test(arguments: [
        "*", "st2*", "st2 apu*", "whoami", "builtins:*", "st2session start *", "st2session_*", "s[t]2*", "*apu*",
    ])
    func `check does not warn about valid rules`(command: String) {
        #expect(Self.warnings(["access_controls": [["command": .string(command), "allowusers": ["@a"]]]]).isEmpty)
    }

    @Test func `check warns about unreachable rules and names that can be reassigned`() {
        let hidden = Self.warnings([
            "access_controls": [["command": "st2 a*"], ["command": "st2 apu?"], ["command": "st2*"]]
        ])
        #expect(hidden.count == 1)
        #expect(hidden[0].hasPrefix("access_controls[1].command: is never reached: access_controls[0] (“st2 a*”)"))
        let names = Self.warnings(
            [
                "admins": ["@root", "U1"],
                "access_controls": [
                    ["command": "*", "allowusers": ["@bob", "U7"], "allowrooms": ["#ops", "@petrel"]]
                ],
            ], changeable: ["slack"])
        #expect(names.count == 3)
        #expect(names.allSatisfy { $0.contains("on slack another person can take a name") })
        let rooms = Self.warnings([
            "access_controls": [["command": "*", "allowrooms": ["@errbot"], "denyusers": ["#ops"]]]
        ])
        #expect(rooms.contains { $0.contains("“@errbot” is not a room") })
        #expect(rooms.contains { $0.contains("“#ops” is the name of a room") })
    }

    @Test func `check does not warn about a name that is the ID as well`() {
        let forms = NameForms { text, subject in subject == .room && text.hasPrefix("#") }
        let found = Self.warnings(
            ["access_controls": [["command": "*", "allowusers": ["@bob"], "allowrooms": ["#ops"]]]],
            changeable: ["irc"], names: ["irc": forms])
        #expect(found.count == 1 && found[0].contains("“@bob” is a name"), "\(found)")
    }

    @Test(arguments: [
        ("denyusers", "bob", "is neither a name, which begins with @, nor an ID"),
        ("allowrooms", "ops", "did you mean “#ops”?"),
        ("allowusers", "text/bob", "did you mean “@bob”?"),
    ]) func `check warns about names that match no user or room`(key: String, entry: String, expected: String) {
        let found = Self.warnings(
            ["access_controls": [["command": "st2*", .init(key): [.string(entry)]]]], names: ["text": NameForms()])
        #expect(found.count == 1 && found[0].hasPrefix("access_controls[0].\(key)[0]: “\(entry)”"), "\(found)")
        #expect(found.allSatisfy { $0.contains(expected) })
    }

    @Test func `names in groups and admins are reported once, with their location`() {
        let found = Self.warnings(
            [
                "admins": ["root", "group:infra"], "groups": ["infra": ["bob", "@Ann"]],
                "access_controls": [
                    ["command": "st2 a*", "allowusers": ["group:infra", "@ann"]],
                    ["command": "st2 b*", "denyusers": ["group:infra"]],
                ],
            ], names: ["text": NameForms()])
        #expect(
            found.map { $0.prefix { $0 != ":" } } == [
                "admins[0]", "groups.infra[0]", "access_controls[0].allowusers[1]",
            ])
        #expect(found.last?.contains("differ only in case") == true)
    }

    @Test func `check does not warn about ids and patterns`() {
        let slack = NameForms(areLowercase: true) { text, _ in
            text.unicodeScalars.allSatisfy { ("0"..."Z").contains($0) }
        }
        let found = Self.warnings(
            [
                "access_controls": [
                    [
                        "command": "st2*", "allowusers": ["U7", "@bob", "U*", "*"],
                        "allowrooms": ["C1", "#ops", "@petrel"],
                    ]
                ]
            ], names: ["slack": slack])
        #expect(found.isEmpty, "\(found)")
    }
}
