public import PetrelSupport

extension ConformanceReport.Entry {
    /// The width of the identifiers, so that the outcomes are aligned.
    private static let width = 26

    /// One line with the identifier and the outcome. Below a failure: the requirement, what was expected, what came
    /// instead, and the page that describes it.
    public var text: String {
        let gap = String(repeating: " ", count: max(Self.width - id.utf8.count, 2))
        let first = id + gap + outcome.words
        guard let failure = outcome.failure else { return first }
        var rows = [("Required", title), ("Expected", failure.expected), ("Got", failure.got)]
        if let page { rows.append(("See", page)) }
        let lines = rows.map { label, text in
            "    \(label):" + String(repeating: " ", count: 9 - label.utf8.count) + Printable.line(text)
        }
        return ([first] + lines).joined(separator: "\n")
    }

    /// The entry as JSON: an object with `id`, `title`, `page`, `result`, `reason` and `seconds`, and for a failure
    /// with `expected`, `got` and `check`, the place of the check in the source.
    public var json: JSONValue {
        var object: [String: JSONValue] = [
            "id": .string(id), "title": .string(title), "result": .string(outcome.word), "reason": .null,
            "page": page.map { .string($0) } ?? .null, "seconds": .object(outcome.times.mapValues { .number($0) }),
        ]
        if let skip = outcome.skip { object["reason"] = .string(skip) }
        if let failure = outcome.failure {
            object["reason"] = .string("\(failure)")
            object["expected"] = .string(failure.expected)
            object["got"] = .string(failure.got)
            object["check"] = .string(failure.place)
        }
        return .object(object)
    }
}

extension ConformanceReport {
    /// The report as JSON: `{"subject": …, "cases": […]}`, with the entries as ``Entry/json``.
    public var json: JSONValue { ["subject": .string(subject), "cases": .array(entries.map(\.json))] }
}

extension ConformanceOutcome {
    /// One word: `passed`, `failed` or `skipped`.
    fileprivate var word: String {
        switch result {
        case .passed: "passed"
        case .failed: "failed"
        case .skipped: "skipped"
        }
    }

    /// The word, the reason why the case was skipped, and the measured times.
    fileprivate var words: String {
        let times = times.sorted { $0.key < $1.key }.map { "\($0.key) \(($0.value * 1000).rounded() / 1000) s" }
        let reason = skip.map { ": " + Printable.line($0) } ?? ""
        return word + reason + (times.isEmpty ? "" : " (\(times.joined(separator: ", ")))")
    }
}
