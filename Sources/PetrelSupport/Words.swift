extension Unicode.Scalar {
    /// Whether it separates words for a parser. Python counts U+001C to U+001F as white space besides: StackStorm parses
    /// with Python, and a rule must see a separator wherever StackStorm does.
    @inlinable public var isSeparator: Bool {
        value < 0x80
            ? self == " " || (9...13).contains(value) || (0x1C...0x1F).contains(value) : properties.isWhitespace
    }

    /// Whether it takes up no room and shows nothing by itself: a zero width space, a byte order mark, a mark that turns the
    /// direction of text.
    @inlinable public var isInvisible: Bool {
        switch value {
        case 0xAD, 0x061C, 0x180E, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x2069, 0xFE00...0xFE0F, 0xFEFF: true
        default: false
        }
    }

    /// Whether it ends a line: LF, CR, and what Unicode adds to them.
    @inlinable public var isLineEnd: Bool {
        switch value {
        case 0x0A...0x0D, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}

extension StringProtocol {
    /// The words of a text that decides something, split scalar by scalar: a `Character` may join a separator to what
    /// stands beside it.
    public var words: [String] {
        unicodeScalars.split { $0.isSeparator }.map { String(String.UnicodeScalarView($0)) }
    }

    /// The first word, and what follows it without the white space between.
    public var firstWord: (word: String, rest: String) {
        let scalars = unicodeScalars
        let start = scalars.firstIndex { !$0.isSeparator } ?? scalars.endIndex
        let end = scalars[start...].firstIndex { $0.isSeparator } ?? scalars.endIndex
        let rest = scalars[end...].drop { $0.isSeparator }
        return (String(String.UnicodeScalarView(scalars[start..<end])), String(String.UnicodeScalarView(rest)))
    }

    /// Whether all of it is white space.
    public var isBlank: Bool { unicodeScalars.allSatisfy { $0.isSeparator } }

    /// Whether it is this word, whatever the case of its ASCII letters. Compared byte by byte, so that nothing else
    /// passes for it.
    public func isKeyword(_ word: some StringProtocol) -> Bool {
        utf8.elementsEqual(word.utf8) { left, right in
            left == right || (left ^ right == 0x20 && (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(left | 0x20))
        }
    }
}
