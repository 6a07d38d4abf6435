import Foundation
import PetrelSupport
import Testing

@testable import PetrelCore

@Suite struct GlobTests {
    private static func matches(_ pattern: String, _ text: String) -> Bool { Glob(pattern).matches(GlobText(text)) }

    /// Results of Python's `fnmatch.fnmatchcase`.
    @Test(arguments: [
        ("", "", true), ("", "a", false), ("*", "", true), ("*", "a\nb/c", true), ("?", "a", true), ("?", "", false),
        ("?", "é", true), ("a*c", "abbbc", true), ("a*c", "abbbd", false), ("a*b*c", "a b b c", true),
        ("*a*a*a*b", String(repeating: "a", count: 300), false), ("[abc]", "b", true), ("[abc]", "d", false),
        ("[!abc]", "d", true), ("[!abc]", "b", false), ("[a-c]x", "bx", true), ("[a-c]x", "dx", false),
        ("[]]", "]", true), ("[!]]", "]", false), ("[!]]", "a", true), ("[a", "[a", true), ("[a", "a", false),
        ("[z-a]", "m", false), ("[!z-a]", "m", true), ("[a-]", "-", true), ("[-a]", "-", true), ("[!]", "[!]", true),
        ("x[", "x[", true), ("[a-c-e]", "-", true), ("[a-c-e]", "d", false), ("a\\*", "a\\b", true), ("A", "a", false),
        ("@b?b", "@bob", true), ("#ops*", "#ops-eu", true), ("[é-ü]", "ö", true),
    ]) func `globs match like fnmatch`(pattern: String, text: String, expected: Bool) {
        #expect(Self.matches(pattern, text) == expected)
    }

    @Test func `composed and decomposed accents are equal`() {
        #expect(Self.matches("caf\u{E9}*", "cafe\u{301} noir"))
        #expect(Self.matches("cafe\u{301}", "caf\u{E9}"))
    }

    @Test func `case can be ignored`() {
        #expect(Glob("St2 APU*", ignoringCase: true).matches(GlobText("sT2 apu start", ignoringCase: true)))
    }

    @Test(arguments: [
        ("*", "st2*", true), ("st2*", "st2 apu*", true), ("st2 apu*", "st2*", false), ("st2*", "st2", true),
        ("?", "[ab]", true), ("[ab]", "?", false), ("[a-d]", "[bc]", true), ("[a-d]", "[be]", false),
        ("a*b", "a*c*b", true),
        ("a?", "a*", false), ("a*", "a?", true), ("*", "", true), ("", "*", false), ("[!a]", "[!a]", true),
        ("*x*", "y*x*z", true), ("a*a", "a", false),
    ]) func `a glob determines whether it covers another one`(mine: String, other: String, expected: Bool) {
        #expect(Glob(mine).covers(Glob(other)) == expected)
    }

    /// Checks with all short texts that a glob matches every text of a glob that it covers.
    @Test func `a glob that covers another matches everything that the other matches`() {
        let patterns = [
            "", "a", "*", "?", "a*", "*a", "a*b", "[ab]", "[!a]", "?*", "*?", "a?b", "*a*", "[ab]*", "**", "[!b]?",
        ]
        var texts = [""]
        for _ in 0..<4 { texts += texts.flatMap { text in ["a", "b", "c"].map { text + $0 } } }
        for mine in patterns {
            for other in patterns where Glob(mine).covers(Glob(other)) {
                for text in Set(texts) where Self.matches(other, text) {
                    #expect(Self.matches(mine, text), "\(mine) should cover \(other), and fails at \(text)")
                }
            }
        }
    }

    @Test func `the index finds the same rule as a linear search`() {
        var random = SystemRandomNumberGenerator()
        let words = ["st2", "apu", "ops", "*", "?", "s*", "[a-o]pu", "x"]
        for _ in 0..<200 {
            let rules = (0..<20).map { index in
                let command = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    words.randomElement(using: &random)!
                }
                .joined(separator: " ")
                return AccessRule(
                    index: index, command: command, modules: [], limits: AccessLimits(), usual: AccessLimits())
            }
            let line = GlobText((0..<2).map { _ in words.randomElement(using: &random)! }.joined(separator: " "))
            let expected = rules.firstIndex { $0.glob.matches(line) }
            #expect(RuleIndex(rules).first(matching: line, module: "", before: .max) == expected)
        }
    }
}
