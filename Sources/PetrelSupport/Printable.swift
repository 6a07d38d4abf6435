import Foundation

/// Text that came from elsewhere, as a person may read it in a terminal or a log: nothing in it moves the cursor,
/// retitles the window, begins another line or turns the direction of what follows.
public enum Printable {
    /// Several lines, without empty ones around them. Marks of direction that right-to-left text needs stay.
    public static func text(_ raw: String) -> String {
        let kept = raw.unicodeScalars.filter {
            $0 == "\n" || $0 == "\t" || $0.value == 0x200E || $0.value == 0x200F || !$0.isTreacherous
        }
        return String(String.UnicodeScalarView(kept)).trimmingCharacters(in: .newlines)
    }

    /// One line: whatever is not shown is a space.
    public static func line(_ raw: String) -> String {
        // Whatever is replaced is below the space, DEL, or begins with one of these bytes in UTF-8.
        if raw.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0xC2 && $0 != 0xD8 && $0 != 0xE2 }) { return raw }
        var line = String.UnicodeScalarView()
        for scalar in raw.unicodeScalars { line.append(scalar.isTreacherous ? " " : scalar) }
        return String(line)
    }

    /// A name in a sentence, or the value of a field: in quotes where it could be read as more than one.
    public static func name(_ raw: String) -> String {
        let line = line(raw)
        guard line.isEmpty || line.unicodeScalars.contains(where: \.needsQuotes) else { return line }
        var quoted: String.UnicodeScalarView = "\"".unicodeScalars
        for scalar in line.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted.append("\\") }
            quoted.append(scalar)
        }
        quoted.append("\"")
        return String(quoted)
    }
}

extension Unicode.Scalar {
    /// A control character, a line end of Unicode, or a mark that turns the direction of text (UAX #9).
    public var isTreacherous: Bool {
        switch value {
        case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: properties.generalCategory == .control
        }
    }

    fileprivate var needsQuotes: Bool { self == "\"" || self == "=" || self == "\\" || properties.isWhitespace }
}
