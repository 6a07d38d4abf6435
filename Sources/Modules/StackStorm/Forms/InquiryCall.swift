import StackStormClient

/// `inquiry [list]`, `inquiry show ID`, `inquiry answer ID [name=value …]`.
struct InquiryCall: Equatable {
    enum Kind: Equatable {
        case list
        case show(String)
        case answer(String, [CommandStream.Pair])
        /// An answer of which not all is `name=value`.
        case malformed(String)
    }

    var kind: Kind

    /// Nil when the line is none of them.
    init?(_ line: String) {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.first?.lowercased() == "inquiry" else { return nil }
        switch (words.dropFirst().first?.lowercased(), words.count) {
        case (nil, _), ("list", 2): kind = .list
        case ("show", 3): kind = .show(String(words[2]))
        case ("answer", 3...):
            let pairs = CommandStream(line).pairs
            // All that follows the id has to be pairs, or it would be left out unseen.
            let isWhole = Self.rest(of: line, after: words[2]).isEmpty == pairs.isEmpty
            kind = isWhole ? .answer(String(words[2]), pairs) : .malformed(String(words[2]))
        default: return nil
        }
    }

    private static func rest(of line: String, after word: Substring) -> Substring {
        line[word.endIndex...].drop { $0.isWhitespace }
    }

    var masked: String {
        switch kind {
        case .list: "inquiry list"
        case .show(let id): "inquiry show \(id)"
        case .malformed(let id): "inquiry answer \(id) …"
        case .answer(let id, let pairs):
            "inquiry answer \(id)" + pairs.map { " \($0.key)=\(SecretParameters.mask)" }.joined()
        }
    }
}
