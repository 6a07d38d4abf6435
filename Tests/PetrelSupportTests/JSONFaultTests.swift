import Foundation
import Testing

@testable import PetrelSupport

@Suite struct JSONFaultTests {
    @Test(arguments: [
        ("", "it is not valid JSON: the text ends where a value is expected (line 1, column 1)"),
        ("1e400", "the number 1e400 is out of range (line 1, column 1)"),
        ("[1,\n -1E+999]", "the number -1E+999 is out of range (line 2, column 2)"),
        (#"{"é": "\ud83d"}"#, #"\ud83d is half of a character, and the other half is missing (line 1, column 8)"#),
        (#"["\udc00"]"#, #"\udc00 is half of a character, and the other half is missing (line 1, column 3)"#),
        (#"["\ud83d\u0041"]"#, #"\ud83d is half of a character, and the other half is missing (line 1, column 3)"#),
        ("[NaN]", "it is not valid JSON: NaN is neither a number nor true, false or null (line 1, column 2)"),
        (
            "[-Infinity]",
            "it is not valid JSON: -Infinity is neither a number nor true, false or null (line 1, column 2)"
        ),
        ("[01]", "it is not valid JSON: 01 is neither a number nor true, false or null (line 1, column 2)"),
        ("[1.]", "it is not valid JSON: 1. is neither a number nor true, false or null (line 1, column 2)"),
        ("{'a': 1}", "it is not valid JSON: a key in double quotation marks is expected (line 1, column 2)"),
        (#"{"a": 'b'}"#, "it is not valid JSON: a value is expected, not “'” (line 1, column 7)"),
        (#"{"a" 1}"#, "it is not valid JSON: a colon is expected after the key (line 1, column 6)"),
        (#"{"a": 1"#, "it is not valid JSON: a comma or } is expected (line 1, column 8)"),
        ("[1 2]", "it is not valid JSON: a comma or ] is expected (line 1, column 4)"),
        ("[1,,]", "it is not valid JSON: a value is expected, not “,” (line 1, column 4)"),
        ("[1] x", "it is not valid JSON: “x” follows the value (line 1, column 5)"),
        ("{\"a\": \"b}", "it is not valid JSON: the string that begins here does not end (line 1, column 7)"),
        (
            "[\"a\tb\"]",
            "it is not valid JSON: the byte 09 in a string has to be written as an escape (line 1, column 4)"
        ),
        (#"["\x"]"#, "it is not valid JSON: “x” after a backslash is not an escape (line 1, column 3)"),
        (#"["\u12g4"]"#, #"it is not valid JSON: \u needs four hexadecimal digits (line 1, column 3)"#),
        (
            String(repeating: "[", count: 600) + String(repeating: "]", count: 600),
            "it is nested more than 512 levels deep (line 1, column 513)"
        ),
    ]) func `the first fault has a reason and a place, and the decoder refuses the text, too`(
        text: String, reason: String
    ) {
        #expect(JSONFault(Array(text.utf8)).reason == reason)
        #expect(throws: (any Error).self) { try JSONValue.parse(text.utf8) }
    }

    @Test func `bytes that are not UTF-8 are named`() {
        let text = Array(#"{"a": "caf"#.utf8) + [0xE9] + Array(#""}"#.utf8)
        #expect(JSONFault(text).reason == "it is not valid JSON: the byte E9 is not UTF-8 (line 1, column 11)")
    }

    @Test(arguments: [
        "null", " [true, false, null] ", "[0, -0, 1.5, -2e10, 1E-3, 123456789012345678901234567890]",
        #"{"a": {"b": []}}"#,
        #""\ud83d\ude00 \u00e9 \" \\ \/ \b\f\n\r\t 👩‍👩‍👧""#, "\u{FEFF}{}", "{\r\n\t\"a\" : 1 , \"a\" : 2}", "[1,]",
        "{\"a\":1 , }",
    ]) func `what the decoder accepts has no fault`(text: String) throws {
        _ = try JSONValue.parse(text.utf8)
        #expect(JSONFault(Array(text.utf8)).reason == nil)
    }

    @Test func `a text that is cut anywhere has a fault, unless the decoder accepts it`() {
        let text = Array(#" {"a": [1.5e3, "\ud83d\ude00é", true], "b": {"c": null}} "#.utf8)
        for count in text.indices {
            let part = Array(text[..<count])
            let isRead = (try? JSONValue.parse(part)) != nil
            #expect((JSONFault(part).reason == nil) == isRead, "\(String(decoding: part, as: UTF8.self))")
        }
    }
}
