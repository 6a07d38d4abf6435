/// One requirement for chat backends, as a procedure on a stage. It does not depend on a test library.
public struct ConformanceCase: Sendable, Identifiable, CustomStringConvertible {
    /// The identifier, such as `deliver.order`: a group and a name.
    public let id: String
    /// The requirement as a sentence.
    public let title: String
    /// The abilities without which the case is skipped.
    public let needs: Set<ConformanceAbility>
    private let run: @Sendable (ConformanceScene) async throws -> Void

    /// Creates a case.
    /// - Parameter run: throws ``ConformanceFailure`` if the backend does not meet the requirement.
    public init(
        _ id: String, _ title: String, needs: Set<ConformanceAbility> = [],
        run: @escaping @Sendable (ConformanceScene) async throws -> Void
    ) {
        self.id = id
        self.title = title
        self.needs = needs
        self.run = run
    }

    /// The identifier and the title.
    public var description: String { "\(id): \(title)" }

    /// Runs the case with a new stage, and returns the outcome.
    public func outcome(_ withStage: ConformanceStaging) async -> ConformanceOutcome {
        let notes = ConformanceNotes()
        do {
            try await withStage { stage in
                notes.skips(ConformanceAbility.missing(needs, on: stage))
                guard !notes.isSkipped else { return }
                let run = run
                try await withDeadline(ConformancePatience.ofCase, "the end of the case") {
                    try await run(ConformanceScene(stage, notes))
                }
            }
        } catch {
            return ConformanceOutcome(.failed(ConformanceFailure(error)), notes.times)
        }
        let missing = notes.missing
        return ConformanceOutcome(missing.isEmpty ? .passed : .skipped(missing.joined(separator: "; ")), notes.times)
    }
}

/// A closure that creates a stage, calls a closure with it, and takes it down.
public typealias ConformanceStaging =
    @Sendable (_ body: @escaping @Sendable (any ConformanceStage) async throws -> Void) async throws -> Void

/// The error of a backend or a module that does not meet a requirement.
public struct ConformanceFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The expected behaviour.
    public var expected: String
    /// The observed behaviour.
    public var got: String
    /// The file and the line of the check; empty if another error ended the case.
    public var place: String

    /// Creates an error.
    public init(expected: String, got: String, file: StaticString = #fileID, line: UInt = #line) {
        self.expected = expected
        self.got = got
        place = "\(file):\(line)"
    }

    /// Returns the error itself, or one that describes an error which no check expected.
    public init(_ error: any Error) {
        if let failure = error as? ConformanceFailure {
            self = failure
        } else {
            (expected, got, place) = ("the case to end without an error", "the error “\(error)”", "")
        }
    }

    /// The expected and the observed behaviour, with the place of the check.
    public var description: String {
        "expected \(expected), got \(got)" + (place.isEmpty ? "" : " (\(place))")
    }
}

/// The outcome of one case.
public struct ConformanceOutcome: Sendable, Hashable {
    /// The result.
    public enum Result: Sendable, Hashable {
        /// The requirement is met.
        case passed
        /// The requirement is not met.
        case failed(ConformanceFailure)
        /// An ability is missing, for this reason.
        case skipped(String)
    }

    /// The result.
    public var result: Result
    /// Durations that the case measured, in seconds, by their names.
    public var times: [String: Double]

    /// Creates an outcome.
    public init(_ result: Result, _ times: [String: Double] = [:]) {
        self.result = result
        self.times = times
    }

    /// The failure; nil if the requirement is met or the case was skipped.
    public var failure: ConformanceFailure? { if case .failed(let failure) = result { failure } else { nil } }
    /// The missing abilities of a skipped case; nil if the case ran.
    public var skip: String? { if case .skipped(let reason) = result { reason } else { nil } }
}
