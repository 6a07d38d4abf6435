package import Foundation
import PetrelSupport

/// A moment by StackStorm's clock, to the microsecond.
package struct StackStormTime: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// Since 1970, in UTC.
    package var microseconds: Int64

    package init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    package init(_ date: Date) {
        microseconds = Int64((date.timeIntervalSince1970 * 1_000_000).rounded())
    }

    /// As StackStorm writes it: `2026-11-21T02:10:16.498577Z`, with or without the fraction.
    package init?(_ text: String) {
        let parts = text.dropLast().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard text.hasSuffix("Z"), let whole = parts.first, let seconds = UTCTime.seconds(whole) else { return nil }
        let digits = parts.count > 1 ? parts[1].prefix(6) : ""
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        let fraction = Int64(digits + String(repeating: "0", count: 6 - digits.count)) ?? 0
        microseconds = seconds * 1_000_000 + fraction
    }

    /// The `Date` header of an answer (RFC 9110, 5.6.7): whole seconds.
    package init?(header: String) {
        guard let seconds = UTCTime.seconds(header: header) else { return nil }
        self.init(microseconds: seconds * 1_000_000)
    }

    package var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1_000_000) }

    /// As StackStorm's filters take it.
    package var description: String {
        let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000)
        return "\(UTCTime.text(seconds)).\(UTCTime.digits(fraction, 6))Z"
    }

    package static func < (left: StackStormTime, right: StackStormTime) -> Bool {
        left.microseconds < right.microseconds
    }

    package static func - (time: StackStormTime, duration: Duration) -> StackStormTime {
        StackStormTime(microseconds: time.microseconds - Int64((duration / .microseconds(1)).rounded()))
    }

    package static func + (time: StackStormTime, duration: Duration) -> StackStormTime { time - (.zero - duration) }

    package static func - (left: StackStormTime, right: StackStormTime) -> Duration {
        .microseconds(left.microseconds - right.microseconds)
    }

    package init(from decoder: any Decoder) throws {
        microseconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(microseconds)
    }
}
