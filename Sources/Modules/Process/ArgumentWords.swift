import PetrelSupport

/// Splits a line into words by white space, with quotation marks and escapes, by Unicode scalars.
struct ArgumentWords {
    /// The result of reading a word.
    enum Word: Equatable {
        /// A word without its quotation marks and escapes.
        case word(String)
        /// The line ends within this quotation mark.
        case unclosed(Unicode.Scalar)
    }

    private let scalars: [Unicode.Scalar]
    private var position = 0

    init(_ line: String) {
        scalars = Array(line.unicodeScalars)
        skipSpace()
    }

    /// True if nothing but white space is left.
    var isAtEnd: Bool { position == scalars.count }

    /// Takes the remaining text, without white space at its end.
    mutating func takeRest() -> String {
        var end = scalars.count
        while end > position, scalars[end - 1].properties.isWhitespace { end -= 1 }
        defer { position = scalars.count }
        return Self.text(scalars[position..<end])
    }

    /// Skips `name=` if the next word begins with one of these names, and returns the name.
    mutating func assignment(among names: [String]) -> String? {
        guard let end = scalars[position...].firstIndex(of: "=") else { return nil }
        let word = scalars[position..<end]
        guard !word.contains(where: \.properties.isWhitespace), word.count <= 64 else { return nil }
        let text = Self.text(word)
        guard let name = names.first(where: { $0.utf8.elementsEqual(text.utf8) }) else { return nil }
        position = end + 1
        return name
    }

    /// Returns the next word, which is empty at the end of the line.
    mutating func next() -> Word {
        var word: [Unicode.Scalar] = []
        while position < scalars.count, !scalars[position].properties.isWhitespace {
            let scalar = scalars[position]
            position += 1
            switch scalar.typed {
            case "\"", "'":
                guard let part = quoted(by: scalar.typed) else { return .unclosed(scalar) }
                word += part
            case "\\" where position < scalars.count:
                word.append(scalars[position])
                position += 1
            default: word.append(scalar)
            }
        }
        skipSpace()
        return .word(Self.text(word))
    }

    private mutating func quoted(by mark: Unicode.Scalar) -> [Unicode.Scalar]? {
        var part: [Unicode.Scalar] = []
        while position < scalars.count {
            let scalar = scalars[position]
            position += 1
            if scalar.typed == mark { return part }
            if scalar == "\\", mark == "\"", position < scalars.count {
                part.append(scalars[position])
                position += 1
            } else {
                part.append(scalar)
            }
        }
        return nil
    }

    private mutating func skipSpace() {
        while position < scalars.count, scalars[position].properties.isWhitespace { position += 1 }
    }

    private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}
