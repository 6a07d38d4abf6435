import PetrelSupport

/// Text as people are shown it.
public enum ShownText {
    /// A text with LF as its only line end, without the control sequences of terminals (ECMA-48) and without control
    /// characters but for the tabulator; the empty text where nothing of it can be seen.
    public static func clean(_ text: String) -> String {
        if isClean(text) { return text }
        let shown = withoutControls(text)
        return shown.allSatisfy(isBlank) ? "" : String(shown)
    }

    /// The same of a part of a text, which may be blank.
    public static func withoutControls(_ text: some StringProtocol) -> String.UnicodeScalarView {
        var shown = String.UnicodeScalarView()
        var rest = Substring(text).unicodeScalars
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\u{1B}", "\u{9B}": dropSequence(after: scalar, &rest)
            case "\r":
                if rest.first == "\n" { rest.removeFirst() }
                shown.append("\n")
            // Line tabulation, form feed, next line.
            case "\u{0B}", "\u{0C}", "\u{85}": shown.append("\n")
            case "\n", "\t": shown.append(scalar)
            default: if scalar.properties.generalCategory != .control { shown.append(scalar) }
            }
        }
        return shown
    }

    /// Most texts: nothing to do.
    private static func isClean(_ text: String) -> Bool {
        var isVisible = false
        var last: UInt8 = 0
        for byte in text.utf8 {
            switch byte {
            case 0x09, 0x0A, 0x20: break
            case ..<0x20, 0x7F: return false
            case 0x80...0x9F where last == 0xC2: return false
            case 0x21...0x7E: isVisible = true
            default: break
            }
            last = byte
        }
        return isVisible || text.isEmpty || text.unicodeScalars.contains { !isBlank($0) }
    }

    /// White space, and what takes up no room at all.
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || scalar.properties.generalCategory == .format
    }

    /// Takes off what follows an escape character, or the control sequence introducer.
    private static func dropSequence(after opener: Unicode.Scalar, _ rest: inout Substring.UnicodeScalarView) {
        if opener == "\u{9B}" { return dropParameters(&rest) }
        guard let kind = rest.first, (0x20...0x7E).contains(kind.value) else { return }
        rest.removeFirst()
        switch kind {
        case "[": dropParameters(&rest)
        case "]", "P", "X", "^", "_": dropString(&rest)
        case _ where kind.value < 0x30:
            // Intermediate characters, then one that ends the sequence.
            while let next = rest.first, (0x20...0x2F).contains(next.value) { rest.removeFirst() }
            if let next = rest.first, (0x30...0x7E).contains(next.value) { rest.removeFirst() }
        default: break
        }
    }

    /// Of a control sequence, such as `[0;32m`.
    private static func dropParameters(_ rest: inout Substring.UnicodeScalarView) {
        while let next = rest.first, (0x20...0x3F).contains(next.value) { rest.removeFirst() }
        if let next = rest.first, (0x40...0x7E).contains(next.value) { rest.removeFirst() }
    }

    /// Of a command string, such as the title of a window. One that is not ended on its line is text.
    private static func dropString(_ rest: inout Substring.UnicodeScalarView) {
        var ahead = rest
        while let next = ahead.popFirst(), next != "\n", next != "\r" {
            if next == "\u{07}" || next == "\u{9C}" || next == "\u{1B}" && ahead.first == "\\" {
                if next == "\u{1B}" { ahead.removeFirst() }
                rest = ahead
                return
            }
        }
    }
}

extension Reply {
    /// The same with its text as people are shown it; see ``ShownText/clean(_:)``.
    package var cleaned: Reply {
        var reply = self
        reply.text = ShownText.clean(text)
        return reply
    }
}
