import PetrelSupport

/// The times of AWS, such as `2026-11-21T02:10:16Z`, `2026-11-21T02:10:16.000Z` and `2026-11-21T02:10:16+00:00`
/// (RFC 3339).
enum AWSTime {
    /// Returns the seconds since 1970. Returns nil if the text has another format.
    static func seconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count > 19, let seconds = UTCTime.seconds(String(decoding: bytes[..<19], as: UTF8.self)) else {
            return nil
        }
        var zone = bytes[19...]
        if zone.first == UInt8(ascii: ".") {
            let fraction = zone.dropFirst().prefix { (0x30...0x39).contains($0) }
            guard !fraction.isEmpty else { return nil }
            zone = zone[fraction.endIndex...]
        }
        return offset(Array(zone)).map { seconds - $0 }
    }

    /// Returns the offset of a zone such as `Z` or `+01:00`, in seconds.
    private static func offset(_ zone: [UInt8]) -> Int64? {
        if zone == [UInt8(ascii: "Z")] { return 0 }
        guard zone.count == 6, zone[3] == UInt8(ascii: ":"), let sign: Int64 = [0x2B: 1, 0x2D: -1][zone[0]] else {
            return nil
        }
        let digits = [zone[1], zone[2], zone[4], zone[5]].map { Int64($0) - 0x30 }
        guard digits.allSatisfy({ (0...9).contains($0) }) else { return nil }
        let (hours, minutes) = (digits[0] * 10 + digits[1], digits[2] * 10 + digits[3])
        return hours < 24 && minutes < 60 ? sign * (hours * 3_600 + minutes * 60) : nil
    }
}
