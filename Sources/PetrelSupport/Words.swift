extension Unicode.Scalar {
    /// True if the scalar separates words.
    ///
    /// Separators are all white space characters and U+001C to U+001F, which Python also treats as white space:
    /// StackStorm parses with Python, and an access rule must split a line as StackStorm does.
    @inlinable public var isSeparator: Bool {
        value < 0x80
            ? self == " " || (9...13).contains(value) || (0x1C...0x1F).contains(value) : properties.isWhitespace
    }

    /// True if the scalar has no width and shows nothing by itself, such as a zero width space, a byte order mark, a
    /// variation selector, and a character that changes the direction of text.
    @inlinable public var isInvisible: Bool {
        switch value {
        case 0xAD, 0x061C, 0x180E, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x2069, 0xFE00...0xFE0F, 0xFEFF: true
        default: false
        }
    }

    /// True if the scalar ends a line: LF, VT, FF, CR, NEL, LS and PS (Unicode Standard, section 5.8).
    @inlinable public var isLineEnd: Bool {
        switch value {
        case 0x0A...0x0D, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}

extension StringProtocol {
    /// The words of a text.
    ///
    /// The text is split by scalars and not by characters, because a `Character` can combine a separator with a
    /// neighbour and hide it from an access rule.
    public var words: [String] {
        unicodeScalars.split { $0.isSeparator }.map { String(String.UnicodeScalarView($0)) }
    }

    /// The first word, and the rest of the text without the separators between them.
    public var firstWord: (word: String, rest: String) {
        let scalars = unicodeScalars
        let start = scalars.firstIndex { !$0.isSeparator } ?? scalars.endIndex
        let end = scalars[start...].firstIndex { $0.isSeparator } ?? scalars.endIndex
        let rest = scalars[end...].drop { $0.isSeparator }
        return (String(String.UnicodeScalarView(scalars[start..<end])), String(String.UnicodeScalarView(rest)))
    }

    /// True if the text is empty or contains only separators.
    public var isBlank: Bool { unicodeScalars.allSatisfy { $0.isSeparator } }

    /// Returns true if the text equals a word, without regard to the case of ASCII letters.
    ///
    /// The comparison is by bytes, so that no other letter is treated as equal.
    public func isKeyword(_ word: some StringProtocol) -> Bool {
        utf8.elementsEqual(word.utf8) { left, right in
            left == right || (left ^ right == 0x20 && (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(left | 0x20))
        }
    }
}
