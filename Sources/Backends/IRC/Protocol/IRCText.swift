/// Reads the conventions inside the text of a message.
enum IRCText {
    /// A request of the client-to-client protocol (CTCP), such as `VERSION`.
    struct Request: Equatable, Sendable {
        var name: String
        var argument: String
    }

    private static let mark: Unicode.Scalar = "\u{1}"

    /// Returns the request that a text contains; nil for a text that people read.
    static func request(_ text: String) -> Request? {
        guard text.unicodeScalars.first == mark else { return nil }
        let content = text.unicodeScalars.dropFirst().prefix { $0 != mark }
        let name = content.prefix { $0 != " " }
        return Request(name: String(name).uppercased(), argument: String(content[name.endIndex...].dropFirst()))
    }

    /// Returns the text of a response to a request.
    static func response(_ name: String, _ argument: String) -> String {
        "\(mark)\(name)\(argument.isEmpty ? "" : " \(argument)")\(mark)"
    }

    /// Returns a text without formatting codes: bold, italic, underline, strikethrough, monospace, reverse, reset, and
    /// colours with their numbers.
    static func withoutFormatting(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 }) else { return text }
        var plain = String.UnicodeScalarView()
        var rest = Substring(text).unicodeScalars
        while let scalar = rest.popFirst() {
            switch scalar.value {
            case 0x02, 0x0F, 0x11, 0x16, 0x1D, 0x1E, 0x1F: break
            case 0x03: dropColours(&rest, digits: 2) { ("0"..."9").contains($0) }
            case 0x04: dropColours(&rest, digits: 6) { $0.properties.isASCIIHexDigit }
            default: plain.append(scalar)
            }
        }
        return String(plain)
    }

    private static func dropColours(
        _ rest: inout Substring.UnicodeScalarView, digits: Int, _ isDigit: (Unicode.Scalar) -> Bool
    ) {
        let count = dropDigits(&rest, digits, isDigit)
        guard count > 0, rest.first == ",", let next = rest.dropFirst().first, isDigit(next) else { return }
        rest.removeFirst()
        _ = dropDigits(&rest, digits, isDigit)
    }

    private static func dropDigits(
        _ rest: inout Substring.UnicodeScalarView, _ most: Int, _ isDigit: (Unicode.Scalar) -> Bool
    ) -> Int {
        let digits = rest.prefix(most).prefix(while: isDigit)
        rest.removeFirst(digits.count)
        return digits.count
    }

    /// Removes a leading name of the bot, as in `petrel: help` and `petrel, help`.
    static func addressed(_ text: String, to names: [String], _ fold: (String) -> String) -> (String, Bool) {
        let scalars = text.unicodeScalars
        guard let end = scalars.firstIndex(where: { $0 == ":" || $0 == "," }), end > scalars.startIndex else {
            return (text, false)
        }
        let name = fold(String(scalars[..<end]))
        guard names.contains(where: { fold($0).utf8.elementsEqual(name.utf8) }) else { return (text, false) }
        let rest = scalars[scalars.index(after: end)...].drop { $0 == " " }
        return (String(rest), true)
    }
}
