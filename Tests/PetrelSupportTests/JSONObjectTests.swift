import Foundation
import PetrelSupport
import Testing

@Suite struct JSONObjectTests {
    @Test(arguments: [
        "", "plain", "a \"quoted\" \\ back", "line\nreturn\rtab\t", "\u{0}\u{1}\u{1f}\u{7f}", "é 👩‍👩‍👧 \u{2028} /",
    ]) func `a written text is read back unchanged`(text: String) throws {
        var object = JSONObject()
        object.set("text", text)
        let read = try JSONValue.parse(object.finish())
        #expect(read == ["text": .string(text)])
    }

    @Test func `the output equals that of JSONEncoder`() throws {
        let value: JSONValue = [
            "b": [true, false, .null, 0, -7, .number(1.5), "x"], "a": ["nested": ["deep": []]], "quoted \" key": [:],
        ]
        var object = JSONObject()
        object.set("value", value)
        let expected: [UInt8] = try JSONValue.encode(["value": value] as JSONValue)
        #expect(String(decoding: object.finish(), as: UTF8.self) == String(decoding: expected, as: UTF8.self))
    }

    @Test func `nil is omitted and infinity is written as null`() {
        var object = JSONObject()
        object.set("text", nil as String?)
        object.set("flag", nil as Bool?)
        object.set("number", .number(.infinity))
        #expect(String(decoding: object.finish(), as: UTF8.self) == #"{"number":null}"#)
    }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00", 0), ("2026-11-21T16:00:10", 1_795_276_810), ("2024-02-29T23:59:59", 1_709_251_199),
            ("0999-12-31T00:00:00", -30_610_310_400),
        ] as [(String, Int64)]) func `a time is converted to text and back`(text: String, seconds: Int64)
    {
        #expect(UTCTime.seconds(text) == seconds)
        #expect(UTCTime.text(seconds) == text)
    }

    @Test(arguments: [
        "2026-02-29T00:00:00", "2026-13-01T00:00:00", "2026-01-01T24:00:00", "2026-01-01T00:00:60",
        "2026-01-01 00:00:00", "2026-01-01T00:00:00Z", "２026-01-01T00:00:00", "",
    ]) func `an invalid time is rejected`(text: String) {
        #expect(UTCTime.seconds(text) == nil)
    }
}
