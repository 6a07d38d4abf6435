import PetrelSupport

/// The words of a command line as a POSIX shell splits it, without any expansion.
enum ShellWords {
    /// Returns the words of a line. Returns nil if a quotation mark is not closed, or if the line ends with a backslash.
    static func split(_ line: String) -> [String]? {
        var words: [String] = []
        var word: String.UnicodeScalarView?
        var quote: Unicode.Scalar?
        var scalars = line.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            if scalar == quote {
                quote = nil
            } else if scalar == "\\", quote != "'" {
                guard let next = scalars.popFirst() else { return nil }
                // In double quotes, a backslash is literal before anything but these two.
                if quote == "\"", next != "\"", next != "\\" { word?.append(scalar) }
                word = (word ?? .init()) + [next]
            } else if quote == nil, scalar == "'" || scalar == "\"" {
                quote = scalar
                word = word ?? .init()
            } else if quote == nil, scalar.isSeparator {
                if let word { words.append(String(word)) }
                word = nil
            } else {
                word = (word ?? .init()) + [scalar]
            }
        }
        guard quote == nil else { return nil }
        if let word { words.append(String(word)) }
        return words
    }
}
