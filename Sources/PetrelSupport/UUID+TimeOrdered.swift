public import Foundation

extension UUID {
    /// Returns a new UUID of version 7 (RFC 9562), which sorts by the time of its creation.
    ///
    /// Rows with successive keys are neighbours in a database, which makes insertions cheaper than with random keys.
    /// Unlike `UUID()`, this function does not open a device file for random numbers.
    public static func timeOrdered() -> UUID {
        var generator = SystemRandomNumberGenerator()
        let random = (generator.next(), generator.next()) as (UInt64, UInt64)
        let milliseconds = UInt64(max(Date.now.timeIntervalSince1970, 0) * 1_000)
        let high = milliseconds << 16 | 0x7000 | random.0 & 0xFFF
        let low = 1 << 63 | random.1 & 0x3FFF_FFFF_FFFF_FFFF
        func byte(_ part: UInt64, _ index: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: part >> (56 - 8 * index)) }
        return UUID(
            uuid: (
                byte(high, 0), byte(high, 1), byte(high, 2), byte(high, 3), byte(high, 4), byte(high, 5),
                byte(high, 6), byte(high, 7), byte(low, 0), byte(low, 1), byte(low, 2), byte(low, 3),
                byte(low, 4), byte(low, 5), byte(low, 6), byte(low, 7)
            ))
    }
}
