import PetrelKit
import PetrelSupport
import StackStormClient

/// `inquiry [list]`, `inquiry show ID`, `inquiry answer ID [name=value …]`.
struct InquiryCall: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case list
        case show(String)
        /// - answers: as typed, and those of a form; empty where none were given.
        case answer(String, answers: [String: String], isGiven: Bool)
        /// An answer of which not all is `name=value`.
        case malformed(String)
    }

    var kind: Kind

    /// Nil when the line is none of them.
    /// - Parameter values: the answers of a form whose line this is.
    init?(_ line: String, _ values: [String: String]? = nil) {
        let words = line.words
        guard words.first?.isKeyword("inquiry") == true else { return nil }
        guard words.count > 1 else {
            kind = .list
            return
        }
        if words.count == 2, words[1].isKeyword("list") {
            kind = .list
        } else if words.count == 3, words[1].isKeyword("show") {
            kind = .show(words[2])
        } else if words.count >= 3, words[1].isKeyword("answer") {
            let rest = line.firstWord.rest.firstWord.rest.firstWord.rest
            let stream = CommandStream(rest)
            // All that follows the id has to be pairs, or it would be left out unseen.
            guard stream.isBlank else {
                kind = .malformed(words[2])
                return
            }
            var answers = values ?? [:]
            for pair in stream.pairs { answers[pair.key] = pair.value }
            kind = .answer(words[2], answers: answers, isGiven: values != nil || !answers.isEmpty)
        } else {
            return nil
        }
    }

    /// The line that an answer amounts to.
    /// - Parameter answers: names and values, in the order of the line.
    static func line(answering id: String, with answers: [(name: String, value: String)]) -> String {
        "inquiry answer \(id)" + answers.map { " \($0.name)=\($0.value)" }.joined()
    }

    /// An answer without quotes, and those of a form, which stand in no line.
    var readings: [LineReading] {
        guard case .answer(let id, let answers, _) = kind, !answers.isEmpty else { return [] }
        let sorted = answers.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        return [.text(Self.line(answering: id, with: sorted))]
    }

    var masked: String {
        switch kind {
        case .list: "inquiry list"
        case .show(let id): "inquiry show \(id)"
        case .malformed(let id): "inquiry answer \(id) …"
        case .answer(let id, let answers, _):
            Self.line(
                answering: id, with: answers.keys.sorted().map { (name: $0, value: KnownActions.mask) })
        }
    }
}
