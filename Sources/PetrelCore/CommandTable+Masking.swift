import PetrelKit
import PetrelSupport

extension CommandTable {
    /// The maximum length of a word that can be the name of a command, in scalars.
    private static let longestWord = 128
    /// The maximum number of lines that are parsed.
    private static let mostLines = 8

    /// Returns a line for the audit log: with its secrets masked, and with those of a line of another command that begins
    /// in the arguments, which a slip of the hand puts there: `cancel login --password=x`.
    package func masked(_ call: Parsed) -> String {
        let command = call.match.entry.command
        guard command.parse == nil, command.masking == nil, let arguments = maskingLine(in: call.match.arguments)
        else { return call.masked }
        return call.match.entry.lines(arguments)[0]
    }

    /// Masks the secrets of a line that begins inside a text. Returns nil if no such line begins there.
    private func maskingLine(in text: String) -> String? {
        let scalars = text.unicodeScalars
        var (count, before) = (0, Unicode.Scalar?.none)
        for index in scalars.indices {
            defer { before = scalars[index] }
            // A name may also begin behind a quotation mark, a prefix or an option.
            if scalars[index].isPartOfWord, before?.isPartOfWord == true { continue }
            let start = scalars[index...]
            let word = start.prefix(Self.longestWord).prefix { !$0.isSeparator && !$0.isQuotationMark }
            guard !word.isEmpty, startsNameWithSecrets(String(word)) else { continue }
            // Each of them costs as much as a line.
            count += 1
            if count > Self.mostLines { return String(scalars[..<index]) + "…" }
            let rest = start[word.endIndex...]
            let line = String(word) + String(rest.first?.isQuotationMark == true ? rest.dropFirst() : rest)
            guard let match = find(line), !match.entry.command.name.isEmpty else { continue }
            let masked = match.parsed().masked
            guard !masked.utf8.elementsEqual(match.lines[0].utf8) else { continue }
            return String(scalars[..<index]) + masked
        }
        return nil
    }
}

extension Unicode.Scalar {
    fileprivate var isPartOfWord: Bool { properties.isAlphabetic || properties.numericType != nil }
    fileprivate var isQuotationMark: Bool { self == "\"" || self == "'" || self == "`" }
}
