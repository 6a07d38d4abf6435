import Foundation

/// Filters that make untrusted text safe to show in a terminal or a log.
///
/// The filters remove control characters, which could move the cursor, change the title of the window or start a new
/// line, and characters that change the direction of the text after them.
public enum Printable {
    /// Returns a text of several lines without unsafe characters and without empty lines around it.
    ///
    /// The marks U+200E and U+200F, which right-to-left text needs, are kept.
    public static func text(_ raw: String) -> String {
        let kept = raw.unicodeScalars.filter {
            $0 == "\n" || $0 == "\t" || $0.value == 0x200E || $0.value == 0x200F || !$0.isTreacherous
        }
        return String(String.UnicodeScalarView(kept)).trimmingCharacters(in: .newlines)
    }

    /// Returns a text as one line. Each unsafe character is replaced with a space.
    public static func line(_ raw: String) -> String {
        // Every replaced character is below the space, is DEL, or starts with one of these bytes in UTF-8.
        if raw.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0xC2 && $0 != 0xD8 && $0 != 0xE2 }) { return raw }
        var line = String.UnicodeScalarView()
        for scalar in raw.unicodeScalars { line.append(scalar.isTreacherous ? " " : scalar) }
        return String(line)
    }

    /// Returns a text as one line, in which each character that is unsafe or cannot be seen is written as its number, such
    /// as `<U+200B>`, so that different texts look different.
    public static func visible(_ raw: String) -> String {
        var line = ""
        for scalar in raw.unicodeScalars {
            if scalar.isTreacherous || scalar.isInvisible {
                let digits = String(scalar.value, radix: 16, uppercase: true)
                line += "<U+\(String(repeating: "0", count: max(0, 4 - digits.utf8.count)))\(digits)>"
            } else {
                line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    /// Returns a name for a sentence or a value for a `key=value` field.
    ///
    /// The text becomes one line, as in ``line(_:)``. It is put in quotes if it is empty or contains white space, a
    /// quotation mark, a backslash or `=`.
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
    /// True for a control character, a Unicode line or paragraph separator, and a character that changes the direction
    /// of text (Unicode Standard Annex #9).
    public var isTreacherous: Bool {
        switch value {
        case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: properties.generalCategory == .control
        }
    }

    fileprivate var needsQuotes: Bool { self == "\"" || self == "=" || self == "\\" || properties.isWhitespace }
}
