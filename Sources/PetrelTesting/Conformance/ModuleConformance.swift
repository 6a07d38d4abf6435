public import PetrelKit
import PetrelSupport

/// The requirements for modules, as ``BackendConformance`` has those for backends.
public enum ModuleConformance {
    /// All cases.
    public static let cases: [ModuleConformanceCase] = commands + arguments + behaviours

    /// Runs the cases one after the other, each with a new module.
    /// - Parameter stage: the module and what is known about it.
    public static func run(_ stage: ModuleStage) async -> ConformanceReport {
        var report = ConformanceReport(stage.name)
        for item in cases {
            let outcome = await item.outcome(stage)
            report.entries.append(ConformanceReport.Entry(id: item.id, title: item.title, outcome: outcome))
        }
        return report
    }
}

/// A module to check.
public struct ModuleStage: Sendable {
    /// A line, without the prefix, and the part of it that must be in no log.
    public struct SecretLine: Sendable, Hashable {
        /// The line.
        public var line: String
        /// The secret.
        public var secret: String

        /// Creates a line.
        public init(_ line: String, secret: String) {
            self.line = line
            self.secret = secret
        }
    }

    /// The name of the module. The host of ``make`` is the one for this name.
    public var name: String
    /// Creates the module. The cases run its commands with strange arguments; connect it to nothing that matters.
    public var make: @Sendable (ModuleHost) throws -> any BotModule
    /// Lines with secrets that the module's commands accept.
    public var secretLines: [SecretLine]

    /// Creates a stage.
    public init(
        _ name: String, secretLines: [SecretLine] = [],
        _ make: @escaping @Sendable (ModuleHost) throws -> any BotModule
    ) {
        self.name = name
        self.make = make
        self.secretLines = secretLines
    }
}

/// One requirement for modules.
public struct ModuleConformanceCase: Sendable, Identifiable, CustomStringConvertible {
    /// The identifier, such as `arguments.empty`.
    public let id: String
    /// The requirement as a sentence.
    public let title: String
    private let run: @Sendable (ModuleScene) async throws -> Void

    init(_ id: String, _ title: String, run: @escaping @Sendable (ModuleScene) async throws -> Void) {
        self.id = id
        self.title = title
        self.run = run
    }

    /// The identifier and the title.
    public var description: String { "\(id): \(title)" }

    /// Runs the case, and returns the outcome.
    public func outcome(_ stage: ModuleStage) async -> ConformanceOutcome {
        let notes = ConformanceNotes()
        do {
            let run = run
            try await withDeadline(ConformancePatience.ofCase, "the end of the case") {
                try await run(ModuleScene(stage: stage, notes: notes))
            }
        } catch {
            return ConformanceOutcome(.failed(ConformanceFailure(error)), notes.times)
        }
        return ConformanceOutcome(notes.isSkipped ? .skipped(notes.missing[0]) : .passed, notes.times)
    }
}

extension ConformanceRecorder {
    /// Runs a case, and records its outcome. Throws ``ConformanceFailure`` if the module does not meet the requirement.
    /// - Returns: the reason why the case was skipped; nil if it ran.
    @discardableResult
    public func check(_ moduleCase: ModuleConformanceCase, _ stage: ModuleStage) async throws -> String? {
        try record(moduleCase.id, moduleCase.title, await moduleCase.outcome(stage))
    }
}
