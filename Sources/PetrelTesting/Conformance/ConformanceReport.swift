import Foundation
import PetrelKit
public import PetrelSupport

/// The outcomes of the cases for one backend or module.
public struct ConformanceReport: Sendable, Hashable {
    /// The outcome of one case.
    public struct Entry: Sendable, Hashable {
        /// The identifier of the case.
        public var id: String
        /// The requirement.
        public var title: String
        /// The outcome.
        public var outcome: ConformanceOutcome

        /// Creates an entry.
        public init(id: String, title: String, outcome: ConformanceOutcome) {
            self.id = id
            self.title = title
            self.outcome = outcome
        }
    }

    /// The backend or the module.
    public var subject: String
    /// The outcomes, in the order of the cases.
    public var entries: [Entry]

    /// Creates a report.
    public init(_ subject: String, _ entries: [Entry] = []) {
        self.subject = subject
        self.entries = entries
    }

    /// The entries of the cases that failed.
    public var failures: [Entry] { entries.filter { $0.outcome.failure != nil } }

    /// The numbers of cases that passed, failed and were skipped.
    public var summary: String {
        let failed = failures.count
        let skipped = entries.count { $0.outcome.skip != nil }
        return "\(subject): \(entries.count - failed - skipped) passed, \(failed) failed, \(skipped) skipped"
    }

    /// A table with one line for each case, and the summary.
    public var text: String {
        let width = entries.map(\.id.utf8.count).max() ?? 0
        let lines = entries.map { entry in
            let id = entry.id + String(repeating: " ", count: width - entry.id.utf8.count)
            return "\(id)  \(entry.outcome.words)"
        }
        return (lines + [summary]).joined(separator: "\n") + "\n"
    }

    /// The report as JSON: `{"subject": …, "cases": [{"id", "title", "result", "reason", "seconds"}, …]}`.
    public var json: JSONValue {
        let cases = entries.map { entry -> JSONValue in
            let outcome = entry.outcome
            let reason = outcome.failure ?? outcome.skip
            return [
                "id": .string(entry.id), "title": .string(entry.title), "result": .string(outcome.word),
                "reason": reason.map { .string($0) } ?? .null,
                "seconds": .object(outcome.times.mapValues { .number($0) }),
            ]
        }
        return ["subject": .string(subject), "cases": .array(cases)]
    }
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

    /// The word, the reason and the measured times.
    fileprivate var words: String {
        let times = times.sorted { $0.key < $1.key }.map { "\($0.key) \(($0.value * 1000).rounded() / 1000) s" }
        let reason = (failure ?? skip).map { ": " + Printable.line($0) } ?? ""
        return word + reason + (times.isEmpty ? "" : " (\(times.joined(separator: ", ")))")
    }
}

/// Collects the outcomes of a test suite whose tests run one case each.
///
/// If the environment variable `PETREL_CONFORMANCE_REPORT` names a folder, the report is written there after each case,
/// as `SUBJECT.json`, for `Scripts/conformance`.
public final class ConformanceRecorder: Sendable {
    private let state: Locked<ConformanceReport>

    /// Creates a recorder for a backend or a module.
    public init(_ subject: String) {
        state = Locked(ConformanceReport(subject))
    }

    /// The report of the cases so far.
    public var report: ConformanceReport { state.value }

    /// Runs a case, and records its outcome. Throws ``ConformanceFailure`` if the backend does not meet the requirement.
    /// - Returns: the reason why the case was skipped; nil if it ran.
    @discardableResult
    public func check(_ conformanceCase: ConformanceCase, _ withStage: ConformanceStaging) async throws -> String? {
        try record(conformanceCase.id, conformanceCase.title, await conformanceCase.outcome(withStage))
    }

    /// Records an outcome. Throws it if it is a failure.
    func record(_ id: String, _ title: String, _ outcome: ConformanceOutcome) throws -> String? {
        let entry = ConformanceReport.Entry(id: id, title: title, outcome: outcome)
        try state.withLock { report in
            report.entries.append(entry)
            guard let folder = ProcessInfo.processInfo.environment["PETREL_CONFORMANCE_REPORT"] else { return }
            let file = URL(fileURLWithPath: folder).appendingPathComponent("\(report.subject).json")
            let bytes: [UInt8] = try JSONValue.encode(report.json)
            try Data(bytes).write(to: file, options: .atomic)
        }
        if let reason = outcome.failure { throw ConformanceFailure(reason) }
        return outcome.skip
    }
}

extension ConformanceFailure {
    /// Creates an error from the description of another one.
    fileprivate init(_ description: String) {
        self.init(expected: "conformance", got: description)
    }
}
