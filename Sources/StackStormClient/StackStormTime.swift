public import Foundation
import PetrelSupport

/// A point in time by StackStorm's clock, with a resolution of one microsecond.
public struct StackStormTime: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The number of microseconds since 1970-01-01T00:00:00Z.
    public var microseconds: Int64

    /// Creates a time from the number of microseconds since 1970.
    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Creates a time from a date, rounded to microseconds.
    public init(_ date: Date) {
        microseconds = Int64(clampingWhole: (date.timeIntervalSince1970 * 1_000_000).rounded())
    }

    /// Parses a time such as `2026-11-21T02:10:16.498577Z`, with or without the fraction. Returns nil for other texts.
    public init?(_ text: String) {
        let parts = text.dropLast().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard text.hasSuffix("Z"), let whole = parts.first, let seconds = UTCTime.seconds(whole) else { return nil }
        let digits = parts.count > 1 ? parts[1].prefix(6) : ""
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        let fraction = Int64(digits + String(repeating: "0", count: 6 - digits.count)) ?? 0
        microseconds = seconds * 1_000_000 + fraction
    }

    /// Parses a `Date` header (RFC 9110, section 5.6.7), which has whole seconds. Returns nil for other texts.
    public init?(header: String) {
        guard let seconds = UTCTime.seconds(header: header) else { return nil }
        self.init(microseconds: seconds * 1_000_000)
    }

    /// The time as a date.
    public var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1_000_000) }

    /// The time as text for StackStorm's filters, such as `2026-11-21T02:10:16.498577Z`.
    public var description: String {
        let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000)
        return "\(UTCTime.text(seconds)).\(UTCTime.digits(fraction, 6))Z"
    }

    /// Returns true if the left time is earlier.
    public static func < (left: StackStormTime, right: StackStormTime) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Subtracts a duration, rounded to microseconds.
    public static func - (time: StackStormTime, duration: Duration) -> StackStormTime {
        StackStormTime(microseconds: time.microseconds - Int64((duration / .microseconds(1)).rounded()))
    }

    /// Adds a duration, rounded to microseconds.
    public static func + (time: StackStormTime, duration: Duration) -> StackStormTime { time - (.zero - duration) }

    /// Returns the duration between two times.
    public static func - (left: StackStormTime, right: StackStormTime) -> Duration {
        .microseconds(left.microseconds - right.microseconds)
    }

    /// The times that have a text with a year of four digits, so that a duration can be added to all of them.
    private static let range: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999

    /// Decodes a number of microseconds since 1970. A number out of the range of ``init(_:)`` becomes the nearest
    /// time.
    public init(from decoder: any Decoder) throws {
        let number = try decoder.singleValueContainer().decode(Int64.self)
        microseconds = min(max(number, Self.range.lowerBound), Self.range.upperBound)
    }

    /// Encodes the number of microseconds since 1970.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(microseconds)
    }
}
