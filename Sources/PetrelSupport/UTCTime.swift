import Foundation

/// Conversions between seconds since 1970 and times such as `2026-11-21T02:10:16`, in UTC.
///
/// The format is that of RFC 3339 without a zone. The conversions do not use `DateFormatter`, which is too slow for
/// code that runs several times with each command.
public enum UTCTime {
    /// Returns the seconds since 1970 of a time such as `2026-11-21T02:10:16`, or nil if the text has another format or
    /// is not a valid time.
    public static func seconds(_ text: some StringProtocol) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 19, bytes[4] == 45, bytes[7] == 45, bytes[10] == 84, bytes[13] == 58, bytes[16] == 58
        else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            var number = 0
            for byte in bytes[range] {
                guard (48...57).contains(byte) else { return nil }
                number = number * 10 + Int(byte - 48)
            }
            return number
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        var parts = tm()
        parts.tm_year = Int32(year - 1_900)
        parts.tm_mon = Int32(month - 1)
        parts.tm_mday = Int32(day)
        parts.tm_hour = Int32(hour)
        parts.tm_min = Int32(minute)
        parts.tm_sec = Int32(second)
        let seconds = timegm(&parts)
        // timegm turns the 31st of a shorter month into a day of the next month.
        return parts.tm_mday == day ? Int64(seconds) : nil
    }

    private static let months: [Substring] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Returns the seconds since 1970 of a `Date` header such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section
    /// 5.6.7), or nil if the header has another format.
    public static func seconds(header: String) -> Int64? {
        let parts = header.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: parts[2]) else { return nil }
        return seconds("\(parts[3])-\(digits(month + 1))-\(parts[1])T\(parts[4])")
    }

    /// The last time that the C library can represent.
    private static let last: Int64 = 67_768_036_191_676_799

    /// Returns the time of a number of seconds since 1970, such as `2026-11-21T02:10:16`. A time that the C library cannot
    /// represent becomes the nearest one.
    public static func text(_ seconds: Int64) -> String {
        var time = time_t(min(max(seconds, -last), last))
        var parts = tm()
        gmtime_r(&time, &parts)
        return
            "\(digits(Int(parts.tm_year) + 1_900, 4))-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday))T\(digits(parts.tm_hour)):\(digits(parts.tm_min)):\(digits(parts.tm_sec))"
    }

    /// Returns a number that is padded with leading zeros.
    ///
    /// - Parameters:
    ///   - number: A number that is not negative.
    ///   - count: The minimum number of digits.
    public static func digits(_ number: some BinaryInteger, _ count: Int = 2) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(count - text.utf8.count, 0)) + text
    }
}
