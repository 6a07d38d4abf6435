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
        let texts = split.texts
        let masked = masked(texts)
        return zip(texts, masked).allSatisfy { $0.utf8.elementsEqual($1.utf8) }
            ? line : masked.joined(separator: " ")
    }
}
