/// Masks the values of secret arguments in lines that are not parsed.
struct SecretMask: Sendable {
    private let names: Set<String>

    /// - Parameter names: The names of the secret arguments.
    init(_ names: Set<String>) { self.names = names }

    /// Returns a line with the value of each word `name=value` masked, and everything after an opening quotation mark.
    func masked(_ line: String) -> String {
        guard !names.isEmpty else { return line }
        var words: [String] = []
        for word in line.unicodeScalars.split(
            omittingEmptySubsequences: false, whereSeparator: \.properties.isWhitespace)
        {
            guard let end = word.firstIndex(of: "="), names.contains(String(String.UnicodeScalarView(word[..<end])))
            else {
                words.append(String(String.UnicodeScalarView(word)))
                continue
            }
            let name = String(String.UnicodeScalarView(word[..<end]))
            words.append("\(name)=•••")
            // The value may continue after white space.
            if word[end...].dropFirst().contains(where: { "\"'\\“”‘’".unicodeScalars.contains($0) }) { break }
        }
        return words.joined(separator: " ")
    }

    /// Returns `name=value`, with the value masked if the name is secret.
    func masked(name: String, _ value: String) -> String { "\(name)=\(names.contains(name) ? "•••" : value)" }
}
