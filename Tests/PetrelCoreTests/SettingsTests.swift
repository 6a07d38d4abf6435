import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import PetrelCore

@Suite struct SettingsTests {
    private enum Color: String, CaseIterable { case red, green }

    private static func section(_ json: JSONValue, environment: [String: String] = [:]) -> (
        SettingsSection, SettingsContext
    ) {
        let context = SettingsContext(folder: URL(fileURLWithPath: "/nowhere"), environment: environment)
        return (SettingsSection(json.object ?? [:], at: "", in: context), context)
    }

    @Test func `reads values, the environment and defaults`() {
        let (section, context) = Self.section(
            ["a": "x", "b": ["env": "NAME"], "n": 5, "flag": true, "list": ["p", ["env": "NAME"]], "color": "green"],
            environment: ["NAME": "value"])
        #expect(section.string("a", default: "") == "x")
        #expect(section.string("b", default: "") == "value")
        #expect(section.string("c", default: "usual") == "usual")
        #expect(section.integer("n", default: 0, in: 0...10) == 5)
        #expect(section.bool("flag", default: false))
        #expect(section.strings("list") == ["p", "value"])
        #expect(section.choice("color", default: Color.red) == .green)
        section.finish()
        #expect(context.problems.isEmpty)
    }

    @Test(arguments: [
        ("", "(line 1, column 1)"), (#"{"bot": {"prefix": "!""#, "(line 1, column 23)"),
        ("{\n  \"admins\": [\n", "(line 3, column 1)"), ("{\n  \"admins\": x}", "(line 2, column 13)"),
    ]) func `a syntax error has a line and a column, also at the end of the file`(text: String, place: String) {
        #expect {
            _ = try SettingsSection.root(
                of: Data(text.utf8), file: "c.json", folder: URL(fileURLWithPath: "/"), environment: [:])
        } throws: {
            "\($0)".contains("invalid JSON") && "\($0)".hasSuffix(place)
        }
    }

    @Test func `collects every error with its location`() {
        let (root, context) = Self.section([
            "bot": ["prefx": "!", "prefix": 5], "n": 99, "color": "blue", "secret": ["env": "MISSING"],
            "file": ["file": "absent"], "list": "x", "items": [["a": 1], 7],
        ])
        let bot = root.section("bot")
        _ = bot.string("prefix", default: "!")
        bot.finish()
        _ = root.integer("n", default: 0, in: 0...10)
        _ = root.choice("color", default: Color.red)
        _ = root.secret("secret")
        _ = root.optionalString("file")
        _ = root.strings("list")
        for item in root.sections("items") {
            _ = item.optionalString("a")
            item.finish()
        }
        root.finish()
        #expect(
            context.problems.map(\.description) == [
                "bot.prefix: must be a string, not a number", "bot.prefx: unknown key; did you mean \"prefix\"?",
                "n: must be from 0 to 10, not 99", "color: must be one of \"red\", \"green\", not \"blue\"",
                "secret: the environment variable MISSING is not set", "file: the file /nowhere/absent cannot be read",
                "list: must be a list of strings, not a string", "items[1]: must be an object, not a number",
                "items[0].a: must be a string, not a number",
            ])
    }

    @Test(arguments: [
        (#"{"a": 1, "b": 2, "a": 3}"#, ["a"]), (#"{"a": {"x": [1, {"y": 1, "y": 2}]}}"#, ["a.x[1].y"]),
        (#"{"a": "\"a\": 1, }", "b": [], "c": {}, "d": [{}, {"e": null}]}"#, []), (#"{"\u0061": 1, "a": 2}"#, ["a"]),
        (" {\n\"a\" : [ ] , \"b\" : { \"a\" : -1.5e3 , \"b\" : true } } ", []),
    ]) func `duplicate keys are reported`(text: String, expected: [String]) {
        #expect(DuplicateKeys(in: Data(text.utf8)).found == expected)
    }

    @Test func `a byte order mark is ignored, and only UTF-8 is accepted`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data([0xEF, 0xBB, 0xBF] + Array(#"{"a": 1, "a": 2}"#.utf8)).write(to: file)
        #expect { try SettingsSection.root(ofFile: file.path, environment: [:]) } throws: {
            "\($0)".contains("a: duplicate key")
        }
        try Data([0xEF, 0xBB, 0xBF] + Array(#"{"a": 1}"#.utf8)).write(to: file)
        #expect(try SettingsSection.root(ofFile: file.path, environment: [:]).0.keys == ["a"])
        try #require(#"{"a": 1}"#.data(using: .utf16)).write(to: file)
        #expect { try SettingsSection.root(ofFile: file.path, environment: [:]) } throws: {
            "\($0)".contains("must be UTF-8")
        }
    }

    @Test(arguments: ["", "[1]", "{\"a\": 1, \"a\": 2}", "{\"a\": }", "{\"a\": 1"])
    func `a value that is not a JSON object is rejected`(text: String)
        throws
    {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).json")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(throws: ConfigurationFailure.self) { try SettingsSection.root(ofFile: file.path, environment: [:]) }
    }

    @Test(
        arguments: [
            ("http://h:1", nil), ("https://h:65535/x", nil), ("http://h:65536", "must have a port from 1 to 65535"),
            ("http://h:0", "must have a port from 1 to 65535"), ("ftp://h", "must be an http:// or https:// address"),
        ] as [(String, String?)]) func `an address must have a valid port`(text: String, problem: String?)
    {
        let (section, context) = Self.section(["a": .string(text)])
        #expect(section.url("a", default: "http://h").host() == "h")
        #expect(context.problems.first?.message.hasPrefix(problem ?? "") ?? (problem == nil))
    }
}
