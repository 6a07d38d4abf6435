extension Duration {
    /// The duration in whole nanoseconds. A duration that is too long for an `Int64` becomes the nearest number.
    public var nanoseconds: Int64 {
        let whole = self / .nanoseconds(1)
        guard abs(whole) < 9.2e18 else { return whole < 0 ? .min : .max }
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// The duration as text for people, such as `3 s`, `5 min`, `2 h 10 min` or `4 d 3 h`.
    ///
    /// The text has at most two units, and smaller ones are cut off. A negative duration is `0 s`.
    public var inWords: String {
        let seconds = components.seconds
        switch seconds {
        case ..<60: return "\(max(seconds, 0)) s"
        case ..<3_600: return "\(seconds / 60) min"
        case ..<86_400: return Self.words(seconds / 3_600, "h", seconds % 3_600 / 60, "min")
        default: return Self.words(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h")
        }
    }

    /// The duration in seconds with one decimal place, such as `0.5 s` or `10.0 s`, for the log.
    ///
    /// The last digit is rounded. The text does not depend on the locale. A negative duration is `0.0 s`.
    public var inSeconds: String {
        let tenth: Int64 = 100_000_000
        let (whole, rest) = max(nanoseconds, 0).quotientAndRemainder(dividingBy: tenth)
        let tenths = whole + (rest >= tenth / 2 ? 1 : 0)
        return "\(tenths / 10).\(tenths % 10) s"
    }

    private static func words(_ many: Int64, _ unit: String, _ few: Int64, _ part: String) -> String {
        few == 0 ? "\(many) \(unit)" : "\(many) \(unit) \(few) \(part)"
    }
}
