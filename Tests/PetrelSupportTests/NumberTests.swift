import Foundation
import PetrelSupport
import Testing

@Suite struct NumberTests {
    @Test(arguments: [
        (1.9, 1), (-1.9, -1), (.nan, 0), (.infinity, Int.max), (-.infinity, .min), (1e300, .max), (-1e300, .min),
        (9.3e18, .max), (4e18, 4_000_000_000_000_000_000),
    ]) func `a number from outside becomes the nearest integer`(number: Double, integer: Int) {
        #expect(Int(clampingWhole: number) == integer)
    }

    @Test(arguments: [
        (1.5, Duration.milliseconds(1_500)), (.nan, .zero), (1e300, .seconds(1e12)), (-.infinity, .seconds(-1e12)),
    ])
    func `a number of seconds from outside becomes a duration`(seconds: Double, duration: Duration) {
        #expect(Duration.seconds(clamping: seconds) == duration)
    }

    @Test(arguments: [
        (Duration.seconds(Int64.max), Int64.max), (.seconds(Int64.min), .min), (.nanoseconds(-7), -7),
        // The last second that an Int64 holds only in part.
        (.seconds(9_223_372_036) + .nanoseconds(999_999_999), .max),
        (.seconds(9_000_000_000), 9_000_000_000_000_000_000),
    ]) func `a duration that is too long has the nearest number of nanoseconds`(duration: Duration, number: Int64) {
        #expect(duration.nanoseconds == number)
    }

    @Test func `a time of any year has a text`() {
        // The C library counts years from 1900 in 32 bits.
        #expect(UTCTime.text(67_768_036_191_676_799).hasPrefix("2147485547-"))
        #expect(UTCTime.text(.max) == "2147485547-12-31T23:59:59" && UTCTime.text(.min).hasPrefix("-2147"))
    }

    @Test(arguments: [
        ("http://127.0.0.1:99999/", false), ("https://[::1]:65536/", false), ("http://a:0/", false),
        ("https://a:65535/", true), ("https://a/", true),
    ]) func `a URL with a port that no connection can have is refused`(text: String, isValid: Bool) {
        #expect((URL(connectable: text) != nil) == isValid)
    }
}
