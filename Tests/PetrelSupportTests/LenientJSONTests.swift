import Foundation
import Testing

@testable import PetrelSupport

/// Tests that an invalid value does not affect the other values.
@Suite(.timeLimit(.minutes(30))) struct LenientJSONTests {
    private static let deep = String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000)

    @Test(
        arguments: [
            (#"{"a": NaN, "b": 1}"#, ["a": .null, "b": 1], 1),
            (#"{"a": Infinity, "b": -Infinity, "c": 1e999}"#, ["a": .null, "b": .null, "c": .null], 3),
            (#"{"a": 99999999999999999999, "b": -0}"#, ["a": .number(1e20), "b": 0], 0),
            (
                #"{"a": "\ud83d", "b": "\ud83d\ude00", "c": "\ude00x", "d": "\ud83d\u0041"}"#,
                ["a": "\u{FFFD}", "b": "😀", "c": "\u{FFFD}x", "d": "\u{FFFD}A"], 3
            ),
            (#"{"a": {"b": \#(deep)}, "c": "kept"}"#, nil, 1),
            (#"{"a": "\q", "b": "\u12"}"#, ["a": "q", "b": "\u{FFFD}12"], 2),
            ("{\"a\": \"tab\tand\u{1}\"}", ["a": "tab\tand\u{1}"], 0),
            (
                #"{"a": 1.5e3, "b": [true, false, null], "c": {}}"#,
                ["a": 1_500, "b": [true, false, .null], "c": .object([:])], 0
            ),
            (#"{"a": 1, "a": 2}"#, ["a": 2], 1),
        ] as [(String, [String: JSONValue]?, Int)])
    func `invalid values are replaced and counted`(text: String, expected: [String: JSONValue]?, losses: Int) throws {
        let (value, count) = try #require(LenientJSON.read(text.utf8))
        if let expected { #expect(value == .object(expected)) } else { #expect(value["c"] == "kept") }
        #expect(count == losses)
    }

    @Test(arguments: [
        "", "{", "{\"a\":}", "[1,]", "\"", "{\"a\" 1}", "[1 2]", "1 1", "{]", "[}", deep + "]", "\\", "{\"a\":\"\\",
    ])
    func `a malformed structure is rejected`(text: String) { #expect(LenientJSON.read(text.utf8) == nil) }

    @Test func `bytes that are not UTF-8 are replaced`() throws {
        let bytes = Array("{\"a\": \"x".utf8) + [0xFF] + Array("y\", \"b\": 1}".utf8)
        let (value, losses) = try #require(LenientJSON.read(bytes))
        #expect(value == ["a": "x\u{FFFD}y", "b": 1] && losses == 1)
    }

    @Test func `valid JSON is read as JSONDecoder reads it`() throws {
        for text in [
            "{\"a\":[1,2.5,\"x\\n\\u00e9\\\"\",{\"b\":null}],\"c\":true}", "[]", "  [ 1 , -2 ] ", "\"\\/\"", "-0.0",
        ] {
            let expected = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
            #expect(LenientJSON.read(text.utf8)?.value == expected)
        }
    }
}
