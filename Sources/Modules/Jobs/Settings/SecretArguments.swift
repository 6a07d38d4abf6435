import JobEngine

/// The arguments of a command whose values are masked.
struct SecretArguments: Sendable, Hashable {
    static let mask = "•••"

    /// The numbers of the arguments, from 1.
    var positions: Set<Int> = []
    /// The words after which the value follows, such as `--password` or `token`.
    var names: [String] = []

    var isEmpty: Bool { positions.isEmpty && names.isEmpty }

    /// Returns the arguments with their secrets masked.
    func masked(_ arguments: [String]) -> [String] {
        if isEmpty { return arguments }
        var isNext = false
        return arguments.enumerated().map { index, argument in
            defer { isNext = names.contains { $0.utf8.elementsEqual(argument.utf8) } }
            if isNext || positions.contains(index + 1) { return Self.mask }
            for name in names where argument.utf8.starts(with: (name + "=").utf8) { return "\(name)=\(Self.mask)" }
            return argument
        }
    }

    /// Returns a typed line with its secrets masked.
    func masked(_ line: String) -> String {
        guard !isEmpty else { return line }
        // A line that cannot be split may have a secret anywhere.
        guard let split = try? ArgumentLine(line) else { return Self.mask }
        return Self.line(line, split.texts, masked: masked(split.texts))
    }

    /// Returns the words of a line that has no quotations with their secrets masked. After a secret with a quotation mark,
    /// which was meant to contain spaces, all words are masked.
    func masked(words: [String]) -> [String] {
        var isQuoted = false
        return zip(words, masked(words)).map { word, masked in
            if isQuoted { return Self.mask }
            isQuoted = !word.utf8.elementsEqual(masked.utf8) && word.unicodeScalars.contains { Self.marks.contains($0) }
            return masked
        }
    }

    private static let marks: Set<Unicode.Scalar> = ["\"", "'", "`", "“", "”", "‘", "’"]

    /// Returns a line as it was typed, or, if it has secrets, its masked parts.
    static func line(_ line: String, _ parts: [String], masked: [String]) -> String {
        zip(parts, masked).allSatisfy { $0.utf8.elementsEqual($1.utf8) } ? line : masked.joined(separator: " ")
    }
}
