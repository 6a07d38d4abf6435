import Foundation
import PetrelKit
import PetrelSupport

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
        /// The page that describes the requirement, and its section; nil if no page describes it.
        public var page: String?

        /// Creates an entry.
        public init(id: String, title: String, outcome: ConformanceOutcome, page: String? = nil) {
            self.id = id
            self.title = title
            self.outcome = outcome
            self.page = page
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

    /// The entries as ``Entry/text``, and the summary.
    public var text: String { (entries.map(\.text) + [summary]).joined(separator: "\n") + "\n" }
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
        if let failure = outcome.failure { throw failure }
        return outcome.skip
    }
}
