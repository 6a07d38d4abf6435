import PetrelKit
import PetrelSupport
import StackStormClient

/// A parsed line of the verb `inquiry`: `inquiry [list]`, `inquiry show ID`, `inquiry answer ID [name=value …]`.
struct InquiryCall: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case list
        case show(String)
        /// The answers are those of the line and of a form. `isGiven` is false if none exist.
        case answer(String, answers: [String: String], isGiven: Bool)
        /// An answer to the inquiry with this ID that contains text other than `name=value`.
        case malformed(String)
    }

    var kind: Kind

    /// Parses a line, or returns nil if it has another form.
    ///
    /// - Parameter values: The answers, if the line is that of a form.
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
            // Other text would be ignored without notice.
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

    /// Returns the line of an answer.
    ///
    /// - Parameter answers: The names and values, in the order of the line.
    static func line(answering id: String, with answers: [(name: String, value: String)]) -> String {
        "inquiry answer \(id)" + answers.map { " \($0.name)=\($0.value)" }.joined()
    }

    /// The readings for the access rules: the answer without quotation marks and with the values of the form, which are
    /// not part of the line.
    var readings: [LineReading] {
        guard case .answer(let id, let answers, _) = kind, !answers.isEmpty else { return [] }
        let sorted = answers.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
        return [.text(Self.line(answering: id, with: sorted))]
    }

    /// The line for the audit log, without the values of answers.
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
