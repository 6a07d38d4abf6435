import Foundation
import PetrelSupport

/// Times, sizes and numbers in the form that people use.
enum Humanized {
    /// Returns the distance of a time from now, such as `6 hours ago`.
    static func time(_ date: Date, now: Date = .now) -> String {
        let seconds = now.timeIntervalSince(date)
        if abs(seconds) < 1 { return "now" }
        guard seconds.isFinite else { return "a long while ago" }
        guard let text = distance(Int64(min(abs(seconds), 1e15))) else { return "a long while ago" }
        return "\(text) \(seconds < 0 ? "from now" : "ago")"
    }

    private static let minute: Int64 = 60
    private static let hour: Int64 = 3_600
    private static let day: Int64 = 86_400
    private static let week: Int64 = 7 * 86_400
    private static let month: Int64 = 30 * 86_400
    private static let year: Int64 = 360 * 86_400

    private static func distance(_ seconds: Int64) -> String? {
        switch seconds {
        case ..<minute: count(seconds, "second")
        case ..<hour: count(seconds / minute, "minute")
        case ..<day: count(seconds / hour, "hour")
        case ..<week: count(seconds / day, "day")
        case ..<month: count(seconds / week, "week")
        case ..<year: count(seconds / month, "month")
        case ..<(540 * day): "1 year"
        case ..<(720 * day): "2 years"
        case ..<(37 * year): count(seconds / year, "year")
        default: nil
        }
    }

    private static func count(_ number: Int64, _ unit: String) -> String {
        "\(number) \(unit)\(number == 1 ? "" : "s")"
    }

    /// Returns a number of bytes, such as `100 MB`.
    static func size(_ bytes: Double) -> String {
        // Arguments of commands come here as well, and `nan` and `1e300` are numbers.
        guard bytes.isFinite, abs(bytes) < 1e21 else { return "\(bytes) B" }
        var (value, index) = (abs(bytes), 0)
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        while value >= 999.5, index < units.count - 1 {
            value /= 1_000
            index += 1
        }
        let sign = bytes < 0 ? "-" : ""
        // One decimal place below 10, as in 8.2 MB.
        let isSmall = index > 0 && value < 9.95
        let tenths = Int64((value * 10).rounded())
        return isSmall
            ? "\(sign)\(tenths / 10).\(tenths % 10) \(units[index])"
            : "\(sign)\(Int64(value.rounded())) \(units[index])"
    }

    /// Returns a number with at most two decimal places, and without zeros at its end.
    static func number(_ number: Double) -> String {
        guard number.isFinite, abs(number) < 1e15 else { return "\(number)" }
        let hundredths = Int64((number * 100).rounded())
        let (whole, rest) = abs(hundredths).quotientAndRemainder(dividingBy: 100)
        let sign = hundredths < 0 ? "-" : ""
        if rest == 0 { return "\(sign)\(whole)" }
        return "\(sign)\(whole).\(rest % 10 == 0 ? "\(rest / 10)" : UTCTime.digits(rest))"
    }
}
