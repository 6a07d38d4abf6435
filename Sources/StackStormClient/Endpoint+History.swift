package import PetrelSupport

/// One page of StackStorm's execution history.
package struct HistoryPage<Item: Sendable>: Sendable {
    /// The items of the page, without those that cannot be read.
    package var items: [Item]
    /// The number of items of the page, including those that cannot be read.
    package var count: Int
    /// The total number of items that match the filters.
    package var total: Int?
    /// The time of the response by StackStorm's clock, in whole seconds.
    package var now: StackStormTime?
}

/// An announcement in the execution history.
///
/// StackStorm announces with an action of the runner `announcement`, so each announcement is an execution.
package struct AnnouncementRun: Sendable {
    /// The ID of the execution.
    package var id: String
    /// The status of the execution.
    package var status: String
    /// The start of the execution.
    package var start: StackStormTime
    /// The end of the execution, or nil if it is running.
    package var end: StackStormTime?
    /// The ID of the parent execution, such as that of `chatops.post_result`.
    package var parent: String?
    /// The route of the announcement, `chatops` by default.
    package var route: String
    /// The announcement.
    package var announcement: Announcement

    /// Reads an execution. Returns nil if it is not a readable announcement.
    init?(_ json: JSONValue) {
        guard let id = json["id"]?.string, let status = json["status"]?.string,
            let start = json["start_timestamp"]?.string.flatMap({ StackStormTime($0) }),
            let parameters = json["parameters"], let announcement = Announcement(json: parameters)
        else { return nil }
        self.id = id
        self.status = status
        self.start = start
        self.announcement = announcement
        end = json["end_timestamp"]?.string.flatMap { StackStormTime($0) }
        parent = json["parent"]?.string
        route = parameters["route"]?.string ?? "chatops"
    }

    /// True if the execution has ended, so that the announcement was published if it ever will be.
    package var isFinished: Bool { Execution.isFinal(status) }
}

/// The outcome of an execution.
package struct ExecutionOutcome: Sendable {
    /// The ID of the execution.
    package var id: String
    /// The status of the execution.
    package var status: String
    /// The start of the execution.
    package var start: StackStormTime?
    /// The end of the execution, or nil if it is running.
    package var end: StackStormTime?
    /// The URL of the execution in StackStorm's web UI.
    package var url: String?
    /// The `source_context` of the alias execution, if it was requested.
    package var context: [String: JSONValue]?

    init?(_ json: JSONValue) {
        guard let id = json["id"]?.string, let status = json["status"]?.string else { return nil }
        self.id = id
        self.status = status
        start = json["start_timestamp"]?.string.flatMap { StackStormTime($0) }
        end = json["end_timestamp"]?.string.flatMap { StackStormTime($0) }
        url = json["web_url"]?.string
        context = json["liveaction"]?["notify"]?["on-complete"]?["data"]?["source_context"]?.object
    }

    /// True if the execution has ended.
    package var isFinished: Bool { Execution.isFinal(status) }
}

/// A filter for the execution history.
package struct HistoryFilter: Sendable {
    /// The default maximum number of items of a page.
    package static let usual = 100

    /// The time after which an execution must have started.
    package var after: StackStormTime?
    /// The time before which an execution must have started.
    package var before: StackStormTime?
    /// The number of items to skip.
    package var offset: Int
    /// The maximum number of items.
    package var limit: Int
    /// True to sort by start in descending order, false for ascending order.
    package var isNewestFirst: Bool

    /// Creates a filter.
    package init(
        after: StackStormTime? = nil, before: StackStormTime? = nil, offset: Int = 0, limit: Int = usual,
        isNewestFirst: Bool = false
    ) {
        self.after = after
        self.before = before
        self.offset = offset
        self.limit = limit
        self.isNewestFirst = isNewestFirst
    }

    var query: [(name: String, value: String)] {
        [
            ("timestamp_gt", after?.description), ("timestamp_lt", before?.description),
            (isNewestFirst ? "sort_desc" : "sort_asc", "start_timestamp"), ("offset", offset == 0 ? nil : "\(offset)"),
            ("limit", "\(limit)"),
        ].compactMap { name, value in value.map { (name, $0) } }
    }
}

extension Endpoint {
    /// Returns an execution (`GET /executions/{id}`), with a result of at most 1 KiB.
    fileprivate static func execution(
        _ id: String, _ read: @escaping @Sendable (JSONValue) -> Value?
    ) throws -> Endpoint {
        try Endpoint("GET", .api, "/executions/\(segment(id))", query: [("max_result_size", "1024")]) { response in
            guard let value = read(try response.checked().json()) else {
                throw response.unexpected("it is not an execution")
            }
            return value
        }
    }

    fileprivate static func history<Item>(
        _ filter: HistoryFilter, _ more: [(name: String, value: String)], item: @escaping @Sendable (JSONValue) -> Item?
    ) throws -> Endpoint where Value == HistoryPage<Item> {
        try Endpoint("GET", .api, "/executions", query: more + filter.query) { response in
            let items = try response.checked().list()
            let read = items.compactMap(item)
            response.noteLosses(items.count - read.count)
            return HistoryPage(items: read, count: items.count, total: response.total, now: response.time)
        }
    }
}

extension Endpoint where Value == HistoryPage<AnnouncementRun> {
    /// Returns announcements (`GET /executions?runner=announcement`), with the same content as on the event stream.
    package static func announcements(_ filter: HistoryFilter) throws -> Endpoint {
        let attributes = "id,parameters,status,start_timestamp,end_timestamp,parent"
        return try history(filter, [("runner", "announcement"), ("include_attributes", attributes)]) {
            AnnouncementRun($0)
        }
    }
}

extension Endpoint where Value == ExecutionOutcome {
    /// Returns the outcome of an execution (`GET /executions/{id}`).
    package static func outcome(of id: String) throws -> Endpoint {
        try execution(id) { ExecutionOutcome($0) }
    }
}

/// An inquiry (`core.ask`) in the execution history.
package struct PendingInquiry: Sendable, Equatable {
    /// The ID of the execution.
    package var id: String
    /// The status of the execution, which is ``pending`` until there is a response.
    package var status: String
    /// The JSON Schema of the response.
    package var schema: JSONValue?
    /// The start of the execution.
    package var start: StackStormTime?
    /// The time until the inquiry expires, in minutes.
    package var ttl: Int?
    /// The IDs of the parent execution, its parent, and so on.
    package var ancestors: [String]

    /// The status of an inquiry that waits for a response.
    package static let pending = "pending"
    /// The maximum depth of nested workflows.
    private static let mostAncestors = 20

    init?(_ json: JSONValue) {
        guard let id = json["id"]?.string, let status = json["status"]?.string else { return nil }
        self.id = id
        self.status = status
        schema = json["parameters"]?["schema"]
        ttl = json["parameters"]?["ttl"]?.int
        start = json["start_timestamp"]?.string.flatMap { StackStormTime($0) }
        ancestors = []
        var parent = json["context"]?["parent"]
        while let current = parent, let id = current["execution_id"]?.string, ancestors.count < Self.mostAncestors {
            ancestors.append(id)
            parent = current["parent"]
        }
    }
}

extension Endpoint where Value == HistoryPage<PendingInquiry> {
    /// Returns the inquiries that wait for a response, the newest first (`GET /executions?runner=inquirer`).
    package static func pendingInquiries() throws -> Endpoint {
        try history(
            HistoryFilter(isNewestFirst: true),
            [
                ("runner", "inquirer"), ("status", PendingInquiry.pending),
                ("include_attributes", "id,status,parameters,context,start_timestamp"),
            ]
        ) { PendingInquiry($0) }
    }
}

extension Endpoint where Value == PendingInquiry {
    /// Returns an inquiry by the ID of its execution (`GET /executions/{id}`).
    package static func pendingInquiry(_ id: String) throws -> Endpoint {
        try execution(id) { PendingInquiry($0) }
    }
}

/// An execution of `chatops.post_result`, which announces the result of another execution.
package struct ResultPost: Sendable {
    /// The ID of the execution whose result is announced.
    package var execution: String
    /// The status of `chatops.post_result`.
    package var status: String

    init?(_ json: JSONValue) {
        guard let status = json["status"]?.string, let execution = json["parameters"]?["execution_id"]?.string else {
            return nil
        }
        self.status = status
        self.execution = execution
    }

    /// True if `chatops.post_result` has ended.
    package var isFinished: Bool { Execution.isFinal(status) }
}

extension Endpoint where Value == HistoryPage<ResultPost> {
    /// Returns executions of `chatops.post_result` (`GET /executions?action=chatops.post_result`).
    package static func resultPosts(_ filter: HistoryFilter) throws -> Endpoint {
        try history(
            filter, [("action", "chatops.post_result"), ("include_attributes", "id,status,parameters,start_timestamp")]
        ) { ResultPost($0) }
    }
}

extension Endpoint where Value == HistoryPage<ExecutionOutcome> {
    /// Returns the outcomes of executions (`GET /executions`).
    ///
    /// - Parameters:
    ///   - filter: A filter for the start of the executions.
    ///   - action: The reference of an action to which the executions are limited, and whose `source_context` is
    ///     returned as
    ///     well. Nil returns the executions of all actions without it.
    package static func outcomes(_ filter: HistoryFilter, contextsOf action: String? = nil) throws -> Endpoint {
        let attributes = "id,status,start_timestamp,end_timestamp,web_url"
        let more =
            action.map { [("action", $0), ("include_attributes", attributes + ",liveaction")] }
            ?? [("include_attributes", attributes)]
        return try history(filter, more) { ExecutionOutcome($0) }
    }
}
