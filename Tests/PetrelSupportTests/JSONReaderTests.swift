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
        #"{"a":1,}"#, "-0.0", "1.5E+3", "1e-3", "1e400", "-1e400", "1e-400", "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808", "1.", ".5", "1.e3", "1e", "1e+", "-", "--1", "1.5.5", "1e5.5", "00", "-01", "0.5",
        "[1.5",
        #""\ude00""#, #""\ud83d\u0041""#, #""\ud83dx""#, #""\ud83d\ud83d""#, #"{"a":1,"b":[{"a":1.5,"a":[]}]}"#,
        "12345678901234567890123.000", "\u{FEFF}[1.5]", #"[1.5, nul]"#, "[1.5]]",
        String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
        String(repeating: "[", count: 512) + String(repeating: "]", count: 512),
        String(repeating: "[", count: 513) + String(repeating: "]", count: 513),
    ]) func `all other JSON is parsed as JSONDecoder parses it`(text: String) {
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

    private struct Model: Codable, Equatable {
        struct Item: Codable, Equatable {
            var name: String
            var size: Int?
        }

        enum Kind: String, Codable { case one, two }

        var value: JSONValue
        var items: [Item]
        var ratio: Double
        var small: UInt8
        var isOn: Bool
        var kind: Kind
        var date: Date?
        var map: [String: [JSONValue]]?
    }

    @Test(arguments: [
        #"{"value":[1,{"a":null}],"items":[{"name":"a"},{"name":"b","size":3}],"ratio":2,"small":7,"isOn":true,"kind":"one"}"#,
        #"{"value":"x","items":[],"ratio":2.5,"small":255,"isOn":false,"kind":"two","date":1.5,"map":{"a":[1,"b"]}}"#,
        #"{"value":1,"items":[{"name":1}],"ratio":2,"small":7,"isOn":true,"kind":"one"}"#,
        #"{"value":1,"items":[{"name":"a"},{"size":1}],"ratio":2,"small":7,"isOn":true,"kind":"one"}"#,
        #"{"value":1,"items":{},"ratio":2,"small":7,"isOn":true,"kind":"one"}"#,
        #"{"value":1,"items":[],"ratio":"2","small":7,"isOn":true,"kind":"one"}"#,
        #"{"value":1,"items":[],"ratio":2,"small":7,"isOn":1,"kind":"one"}"#,
        #"{"value":1,"items":null,"ratio":2,"small":7,"isOn":true,"kind":"one"}"#,
        #"{"items":[],"ratio":2,"small":7,"isOn":true,"kind":"one"}"#, "[]", "1", "null",
    ]) func `a type is decoded from a value as from a text`(text: String) throws {
        func outcome(_ decode: () throws -> Model) -> (Model?, String?) {
            do { return (try decode(), nil) } catch { return (nil, JSONValue.reason(of: error)) }
        }
        let expected = outcome { try JSONDecoder().decode(Model.self, from: Data(text.utf8)) }
        let found = outcome { try JSONValue.parse(text.utf8).decoded() }
        #expect(found == expected)
    }

    /// JSONDecoder takes hours.
    @Test(.timeLimit(.minutes(1))) func `deep nesting takes linear time`() throws {
        struct Deep: Decodable { var result: JSONValue }
        let nested = String(repeating: "[", count: 400) + "1.5" + String(repeating: "]", count: 400)
        let text = #"{"result":["# + Array(repeating: nested, count: 1_000).joined(separator: ",") + "]}"
        let deep: Deep = try JSONValue.parse(text.utf8).decoded()
        #expect(deep.result.array?.count == 1_000)
    }
}
