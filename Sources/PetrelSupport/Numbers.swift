extension FixedWidthInteger {
    /// Creates the integer part of a number. A number out of range becomes the nearest integer, and NaN becomes zero.
    ///
    /// Use this for numbers from outside: the conversion without a label ends the process for infinity, NaN and `1e300`.
    public init(clampingWhole number: Double) {
        if number.isNaN {
            self = 0
        } else {
            self = Self(exactly: number.rounded(.towardZero)) ?? (number < 0 ? .min : .max)
        }
    }
}

extension Duration {
    private static let longest = 1e12

    /// Returns a duration of at most 30,000 years, for a number of seconds from outside. NaN becomes zero.
    public static func seconds(clamping seconds: Double) -> Duration {
        seconds.isNaN ? .zero : .seconds(min(max(seconds, -longest), longest))
    }
}
