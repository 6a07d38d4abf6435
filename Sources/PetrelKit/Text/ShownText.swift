import PetrelSupport

/// Filters for text that is shown to people.
public enum ShownText {
    /// Returns a text with LF as its only line break, without terminal control sequences (ECMA-48) and without control
    /// characters except tabs; the empty text if nothing of it is visible.
    public static func clean(_ text: String) -> String {
        if isClean(text) { return text }
        let shown = withoutControls(text)
        return shown.allSatisfy(isBlank) ? "" : String(shown)
    }

    /// Does the same for a part of a text, which may be blank.
    public static func withoutControls(_ text: some StringProtocol) -> String.UnicodeScalarView {
        var shown = String.UnicodeScalarView()
        var rest = Substring(text).unicodeScalars
        var unended = rest.startIndex
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\u{1B}", "\u{9B}": dropSequence(after: scalar, &rest, &unended)
            case "\r":
                if rest.first == "\n" { rest.removeFirst() }
                shown.append("\n")
            // Vertical tab, form feed, next line.
            case "\u{0B}", "\u{0C}", "\u{85}": shown.append("\n")
            case "\n", "\t": shown.append(scalar)
            default: if scalar.properties.generalCategory != .control { shown.append(scalar) }
            }
        }
        return shown
    }

    /// Returns true if a text needs no change, as most texts.
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

    /// Returns true for white space and for invisible characters.
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || scalar.properties.generalCategory == .format
    }

    /// Removes the rest of an escape sequence or a control sequence.
    private static func dropSequence(
        after opener: Unicode.Scalar, _ rest: inout Substring.UnicodeScalarView, _ unended: inout String.Index
    ) {
        if opener == "\u{9B}" { return dropParameters(&rest) }
        guard let kind = rest.first, (0x20...0x7E).contains(kind.value) else { return }
        rest.removeFirst()
        switch kind {
        case "[": dropParameters(&rest)
        case "]", "P", "X", "^", "_": dropString(&rest, &unended)
        case _ where kind.value < 0x30:
            // Intermediate characters, then a final character.
            while let next = rest.first, (0x20...0x2F).contains(next.value) { rest.removeFirst() }
            if let next = rest.first, (0x30...0x7E).contains(next.value) { rest.removeFirst() }
        default: break
        }
    }

    /// Removes the parameters of a control sequence, such as `[0;32m`.
    private static func dropParameters(_ rest: inout Substring.UnicodeScalarView) {
        while let next = rest.first, (0x20...0x3F).contains(next.value) { rest.removeFirst() }
        if let next = rest.first, (0x40...0x7E).contains(next.value) { rest.removeFirst() }
    }

    /// Removes a command string, such as a window title. A string that does not end on its line is text.
    /// - Parameter unended: The index before which no string ends, so that each line is searched once.
    private static func dropString(_ rest: inout Substring.UnicodeScalarView, _ unended: inout String.Index) {
        guard rest.startIndex >= unended else { return }
        var ahead = rest
        while let next = ahead.popFirst(), next != "\n", next != "\r" {
            if next == "\u{07}" || next == "\u{9C}" || next == "\u{1B}" && ahead.first == "\\" {
                if next == "\u{1B}" { ahead.removeFirst() }
                rest = ahead
                return
            }
        }
        unended = ahead.startIndex
    }
}

extension Reply {
    /// The reply with its text cleaned; see ``ShownText/clean(_:)``.
    package var cleaned: Reply {
        var reply = self
        reply.text = ShownText.clean(text)
        return reply
    }
}
