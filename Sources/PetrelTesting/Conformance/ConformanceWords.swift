import PetrelKit
import PetrelSupport

/// Words for the values in a failure.
enum ConformanceWords {
    /// Returns words for a value: a text in quotation marks, `nothing` for nil, or a description.
    static func of(_ value: Any) -> String {
        if let text = value as? String { return quoted(text) }
        if let place = value as? Address.Place { return place.words }
        if let remedy = value as? SendFailure.Remedy { return remedy == .never ? "`never`" : "`later`" }
        if let list = value as? [Any] { return list.isEmpty ? "none" : list.map(of).joined(separator: ", ") }
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional { return mirror.children.first.map { of($0.value) } ?? "nothing" }
        return excerpt("\(value)")
    }

    /// Returns the first difference between two lists of texts, and their sizes, for each of them.
    static func difference(_ one: [String], _ other: [String]) -> (one: String, other: String) {
        let start = zip(one, other).prefix { $0.0.unicodeScalars.elementsEqual($0.1.unicodeScalars) }.count
        func words(_ list: [String]) -> String {
            if list.isEmpty { return "none" }
            let text = start < list.count ? quoted(list[start]) : "the end"
            return "\(text) at position \(start + 1) of \(list.count)"
        }
        return (words(one), words(other))
    }

    private static func quoted(_ text: String) -> String { "“\(excerpt(text))”" }

    /// Returns the beginning of a text.
    static func excerpt(_ text: String) -> String {
        text.unicodeScalars.count <= 200 ? text : String(text.unicodeScalars.prefix(200)) + "…"
    }
}

extension Address.Place {
    /// The place as words, such as `the room #ops`.
    var words: String {
        switch self {
        case .room(let id): "the room \(id)"
        case .direct(let id): "the direct chat with \(id)"
        }
    }
}

extension ConformanceShown: CustomStringConvertible {
    /// The text and the place, and what else is known about the message.
    public var description: String {
        var words = ["“\(ConformanceWords.excerpt(text))” in \(place.words)"]
        if let thread { words.append("in the thread \(thread)") }
        if let reader { words.append("visible only to \(reader)") }
        if isReplacement { words.append("in place of an earlier message") }
        if let file { words.append("as the file \(file)") }
        return words.joined(separator: ", ")
    }
}

extension ConformanceScene {
    /// Throws ``ConformanceFailure`` if two values differ.
    func expect<Value: Equatable>(
        _ got: Value, is wanted: Value, _ subject: String, file: StaticString = #fileID, line: UInt = #line
    ) throws {
        guard got != wanted else { return }
        throw ConformanceFailure(
            expected: "\(subject): \(ConformanceWords.of(wanted))", got: ConformanceWords.of(got), file: file,
            line: line)
    }

    /// Throws ``ConformanceFailure`` if two lists of texts differ by any scalar.
    func expect(
        _ got: [String], is wanted: [String], _ subject: String, file: StaticString = #fileID, line: UInt = #line
    ) throws {
        guard !got.elementsEqual(wanted, by: { $0.unicodeScalars.elementsEqual($1.unicodeScalars) }) else { return }
        let words = ConformanceWords.difference(wanted, got)
        throw ConformanceFailure(expected: "\(subject): \(words.one)", got: words.other, file: file, line: line)
    }

    /// Throws ``ConformanceFailure`` if two texts differ by any scalar.
    func expect(
        text got: String, is wanted: String, file: StaticString = #fileID, line: UInt = #line
    ) throws {
        guard !got.unicodeScalars.elementsEqual(wanted.unicodeScalars) else { return }
        throw ConformanceFailure(
            expected: "the same text: \(wanted.firstDifference(from: got))",
            got: "\(got.firstDifference(from: wanted))", file: file, line: line)
    }

    /// Throws ``ConformanceFailure`` if a condition is false.
    func expect(
        _ condition: Bool, _ wanted: String, got: String, file: StaticString = #fileID, line: UInt = #line
    ) throws {
        guard !condition else { return }
        throw ConformanceFailure(expected: wanted, got: ConformanceWords.excerpt(got), file: file, line: line)
    }
}

extension String {
    /// Returns the scalars around the first one that differs from another text, escaped, with their offset.
    fileprivate func firstDifference(from other: String) -> String {
        let (own, theirs) = (Array(unicodeScalars), Array(other.unicodeScalars))
        let start = zip(own, theirs).prefix { $0 == $1 }.count
        let excerpt = own[max(start - 10, 0)..<min(start + 20, own.count)]
            .map { $0.escaped(asASCII: true) }.joined()
        return "\(own.count) scalars, near number \(start + 1) “\(excerpt)”"
    }
}
