/// A filter for executions (`GET /executions`). Conditions that are nil apply to all executions.
public struct ExecutionFilter: Sendable, Hashable {
    /// The reference of the action, such as `core.local`.
    public var action: String?
    /// The name of the runner, such as `orquesta` or `announcement`.
    public var runner: String?
    /// The status, such as `running`, `succeeded`, `failed` or `pending`.
    public var status: String?
    /// The ID of the execution that started it.
    public var parent: String?
    /// The time after which it started.
    public var startedAfter: StackStormTime?
    /// The time before which it started.
    public var startedBefore: StackStormTime?
    /// Order by the time of the start: the newest first, or else the oldest.
    public var isNewestFirst = true
    /// Includes ``Execution/result``. Results may be large: an answer of more than
    /// ``StackStormSettings/Limits/body`` bytes fails.
    public var includesResults = false
    /// The number of executions to skip.
    public var offset = 0
    /// The maximum number of executions. StackStorm refuses more than 100 to all but administrators.
    public var limit = HistoryFilter.usual

    /// Creates a filter for the newest executions. Set the properties to narrow it down.
    public init() {}

    var query: [(name: String, value: String)] {
        let attributes = "id,status,action,parameters,context,parent,web_url,start_timestamp,end_timestamp"
        let conditions = [
            ("action", action), ("runner", runner), ("status", status), ("parent", parent),
            ("include_attributes", includesResults ? "\(attributes),result" : attributes),
        ].compactMap { name, value in value.map { (name, $0) } }
        let page = HistoryFilter(
            after: startedAfter, before: startedBefore, offset: offset, limit: limit, isNewestFirst: isNewestFirst)
        return conditions + page.query
    }
}

/// Executions. All calls throw ``StackStormError``. IDs with other characters than letters, digits, `.`, `-` and `_` are
/// reported as `notFound` without a request.
///
/// When the task is cancelled, they throw `CancellationError`. ``cancel(_:as:)`` throws ``StackStormError`` with the code
/// `noAnswer` instead if its request may have been sent.
extension StackStormClient {
    /// Returns an execution (`GET /executions/{id}`). A result of more than 64 KiB is left out.
    ///
    /// - Parameters:
    ///   - id: The ID, 24 hexadecimal digits.
    ///   - credential: The credential of the account that asks, or nil for the client's own.
    /// - Throws: ``StackStormError`` with the code `notFound` if there is no such execution.
    public func execution(_ id: String, as credential: Credential? = nil) async throws -> Execution {
        try await call(.execution(id), as: credential)
    }

    /// Returns a page of the executions that fit a filter (`GET /executions`). ``Page/total`` is the number of all that
    /// fit.
    ///
    /// - Throws: ``StackStormError``.
    public func executions(
        _ filter: ExecutionFilter = ExecutionFilter(), as credential: Credential? = nil
    ) async throws -> Page<Execution> {
        try await call(.executions(filter.query), as: credential)
    }

    /// Returns the output of an execution as plain text, also while it runs (`GET /executions/{id}/output`).
    ///
    /// - Throws: ``StackStormError`` with the code `notFound` if there is no such execution.
    public func output(of id: String, as credential: Credential? = nil) async throws -> String {
        try await call(.output(id), as: credential)
    }

    /// Requests that an execution be cancelled (`DELETE /executions/{id}`). It ends with the status `canceled`, which
    /// may take a while.
    ///
    /// - Returns: Nil if it is being cancelled, or StackStorm's explanation if it had finished.
    /// - Throws: ``StackStormError`` with the code `notFound` if there is no such execution.
    @discardableResult
    public func cancel(_ id: String, as credential: Credential? = nil) async throws -> String? {
        try await call(.cancel(id), as: credential)
    }
}
