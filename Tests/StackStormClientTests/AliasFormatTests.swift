import Foundation
import PetrelKit
import Testing

@testable import StackStormClient

@Suite struct AliasFormatTests {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        var format: String
        var input: String
        var regex: String?
        var kv_pairs_cut: [[String]]?
        var stream_after_kv: String?
        var params: [String: String?]?
        var error: String?
        var error_type: String?

        var testDescription: String { "\(format) ← \(input)" }
    }

    static let recorded: [Case] = Recording.json("alias_parser_cases")
    static let derived: [Case] = Recording.json("alias_parser_differential")

    /// Each level multiplied the time by a thousand.
    @Test(.timeLimit(.minutes(1))) func `a repetition of nothing is compiled`() throws {
        let nothing = (0..<20).reduce("(?:)(?:)") { inner, _ in "(?:(?:\(inner)){1000}(?:))" }
        #expect(try AliasFormat("a\(nothing)b").parameters(of: CommandStream("ab")).isEmpty)
    }

    @Test func `all recorded cases exist`() {
        #expect(Self.recorded.count == 109)
    }

    @Test(arguments: recorded) func `parses a recorded case as StackStorm does`(recorded: Case) throws {
        try Self.check(recorded)
    }

    @Test func `parses derived cases as the reference does`() throws {
        for derived in Self.derived { try Self.check(derived, mayAskServer: true) }
    }

    static func check(_ wanted: Case, mayAskServer: Bool = false) throws {
        let stream = CommandStream(wanted.input)
        let label = Comment(rawValue: wanted.testDescription)
        if let pairs = wanted.kv_pairs_cut { #expect(stream.pairs.map { [$0.key, $0.value] } == pairs, label) }
        if let rest = wanted.stream_after_kv { #expect(stream.text == rest, label) }
        do {
            let format = try AliasFormat(wanted.format)
            if let regex = wanted.regex { #expect(format.pattern == regex, label) }
            let parameters = try format.parameters(of: stream)
            let found = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.value) })
            #expect(wanted.params == found, label)
        } catch AliasFormat.Failure.unsupported(let what) {
            #expect(mayAskServer, "\(label): \(what)")
        } catch AliasFormat.Failure.invalid(let text) where mayAskServer {
            // Python's message differs between versions, but the pattern is always an error.
            #expect(wanted.error_type == "error", "\(label): \(text)")
        } catch {
            #expect(wanted.error == error.description, label)
        }
    }
}
