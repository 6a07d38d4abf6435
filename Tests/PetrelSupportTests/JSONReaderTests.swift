import Foundation
import PetrelSupport
import Testing

@Suite struct JSONReaderTests {
    @Test(arguments: [
        "null", " true ", "false", "0", "-7", "123456789012345678", #""""#, #""plain""#, "[]", "{}", "[ ]", "{ }",
        #"{"a": [1, {"b": null}, "c"], "d": {"e": false}}"#, "\t[\r\n1 , 2]\n", #""é 👩‍👩‍👧""#,
        #""\"\\\/\b\f\n\r\t\u0041\u00e9\u2028\u0000""#, #"{"":"","nested \"key\"":1}"#, #"{"a":{"a":1}}"#,
    ]) func `supported JSON is read as JSONDecoder reads it`(text: String) throws {
        let expected = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        #expect(JSONReader.value(text.utf8) == expected)
    }

    /// JSONDecoder may accept or reject the text.
    @Test(arguments: [
        "1.0", "1e3", "-0", "01", "1234567890123456789", #""\ud83d\ude00""#, #""\ud83d""#, #"{"a":1,"a":2}"#, "[1,]",
        #"{"a":1,}"#,
        String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
    ]) func `unsupported JSON is left to JSONDecoder`(text: String) {
        #expect(JSONReader.value(text.utf8) == nil)
        let expected = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
        #expect((try? JSONValue.parse(text.utf8)) == expected)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "truefalse", "-", "1 2", "[", "]", "[1", "[1,", "[,1]", "{", #"{"a""#, #"{"a":"#,
        #"{"a":1"#, "{a:1}", "{1:1}", #"{"a" 1}"#, #"""#, #""a"#, #""\"#, #""\x""#, #""\u12""#,
        #""\u12g4""#, "\"\n\"", "'a'", "[1}", #"{"a":1]"#, "\u{FEFF}1x", "+1", ".5", "0x10", "NaN",
    ]) func `malformed JSON is rejected`(text: String) {
        #expect(JSONReader.value(text.utf8) == nil)
        #expect(throws: (any Error).self) { try JSONValue.parse(text.utf8) }
    }

    @Test func `bytes that are not UTF-8 are rejected`() {
        for bytes in [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]] {
            #expect(JSONReader.value([0x22] + bytes + [0x22]) == nil)
            #expect(JSONReader.value(Array(#"{"a\n"#.utf8) + bytes + Array(#"":1}"#.utf8)) == nil)
        }
    }

    @Test func `fields are read or skipped`() {
        func kept(_ text: String) -> [String: JSONValue]? {
            JSONReader.read(text.utf8) { reader in
                var kept: [String: JSONValue] = [:]
                reader.fields { key, reader in
                    if key == "kept" { kept[key] = reader.value() } else { reader.skip() }
                }
                return kept
            }
        }
        let text = #"{"skipped": {"a": ["}", "\"", 1.5e3, {"b": [null]}]}, "kept": "x", "also": [1], "last": -2.5}"#
        #expect(kept(text) == ["kept": "x"])
        for mistake in ["}", "]", "-2.5", ": \"x\""] {
            guard let range = text.range(of: mistake) else { continue }
            #expect(kept(text.replacingCharacters(in: range, with: mistake == "}" ? "\"" : "")) == nil, "\(mistake)")
        }
    }

    @Test func `a truncated or corrupted text is read as JSONDecoder reads it, or rejected`() throws {
        let text = Array(#"{"a":[1,-20,{"b":null,"c":"\u00e9\n"}],"d":{"e":false,"f":true},"g":"é"}"#.utf8)
        for index in text.indices {
            for byte in [0x00, 0x20, 0x22, 0x2C, 0x30, 0x5C, 0x5D, 0x7B, 0x80, 0xFF] as [UInt8] {
                var changed = text
                changed[index] = byte
                for bytes in [changed, Array(changed[...index]), Array(changed[index...])] {
                    guard let value = JSONReader.value(bytes) else { continue }
                    let expected = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes))
                    #expect(value == expected, "\(String(decoding: bytes, as: UTF8.self))")
                }
            }
        }
    }
}
