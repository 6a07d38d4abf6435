package import PetrelSupport

/// One page of StackStorm's history.
package struct HistoryPage<Item: Sendable>: Sendable {
    package var items: [Item]
    /// How many there were on the page, readable or not.
    package var count: Int
    /// How many fit the filters in all.
    package var total: Int?
    /// When StackStorm answered: whole seconds.
    package var now: StackStormTime?
}

/// An announcement as the execution that it was.
package struct AnnouncementRun: Sendable {
    package var id: String
    package var status: String
    package var start: StackStormTime
    package var end: StackStormTime?
    /// The run of the notify rule's action, where there was one.
    package var parent: String?
    package var route: String
    package var announcement: Announcement

    /// Nil where it is none that can be read.
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

    /// It was published: nothing more will come of it.
    package var isFinished: Bool { Execution.isFinal(status) }
}

/// An execution, as far as its outcome goes.
package struct ExecutionOutcome: Sendable {
    package var id: String
    package var status: String
    package var start: StackStormTime?
    package var end: StackStormTime?
    package var url: String?
    /// What it was given as `source_context`, where it was asked for.
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

    package var isFinished: Bool { Execution.isFinal(status) }
}

/// Which part of the history is wanted: what started after one moment and before another, the oldest first.
package struct HistoryFilter: Sendable {
    /// Of a page, unless it is told otherwise.
    package static let usual = 100

    package var after: StackStormTime?
    package var before: StackStormTime?
    package var offset: Int
    package var limit: Int
    package var isNewestFirst: Bool

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

    fileprivate var query: [(name: String, value: String)] {
        [
            ("timestamp_gt", after?.description), ("timestamp_lt", before?.description),
            (isNewestFirst ? "sort_desc" : "sort_asc", "start_timestamp"), ("offset", offset == 0 ? nil : "\(offset)"),
            ("limit", "\(limit)"),
        ].compactMap { name, value in value.map { (name, $0) } }
    }
}

extension Endpoint {
    /// `GET /executions/{id}`, without a result of any size.
    fileprivate static func execution(
        _ id: String, _ read: @escaping @Sendable (JSONValue) -> Value?
    ) throws -> Endpoint {
        try Endpoint("GET", .api, "/executions/\(segment(id))", query: [("max_result_size", "1024")]) { response in
            guard let value = read(try response.checked().json()) else {
                throw response.unexpected("it is no execution")
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
    /// Announcements, with the payload that the stream carried.
    package static func announcements(_ filter: HistoryFilter) throws -> Endpoint {
        let attributes = "id,parameters,status,start_timestamp,end_timestamp,parent"
        return try history(filter, [("runner", "announcement"), ("include_attributes", attributes)]) {
            AnnouncementRun($0)
        }
    }
}

extension Endpoint where Value == ExecutionOutcome {
    package static func outcome(of id: String) throws -> Endpoint {
        try execution(id) { ExecutionOutcome($0) }
    }
}

/// A question of a workflow that waits for a person (`core.ask`), as the execution that it is.
package struct PendingInquiry: Sendable, Equatable {
    package var id: String
    package var status: String
    /// JSON Schema of the response.
    package var schema: JSONValue?
    package var start: StackStormTime?
    /// Minutes.
    package var ttl: Int?
    /// The executions that it belongs to, the nearest first.
    package var ancestors: [String]

    package static let pending = "pending"
    /// Workflows within workflows.
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
    /// What waits for an answer, the newest first.
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
    /// `GET /executions/{id}` of an inquiry.
    package static func pendingInquiry(_ id: String) throws -> Endpoint {
        try execution(id) { PendingInquiry($0) }
    }
}

/// A run of `chatops.post_result`, which announces the result of an execution.
package struct ResultPost: Sendable {
    /// Of whose result.
    package var execution: String
    package var status: String

    init?(_ json: JSONValue) {
        guard let status = json["status"]?.string, let execution = json["parameters"]?["execution_id"]?.string else {
            return nil
        }
        self.status = status
        self.execution = execution
    }

    package var isFinished: Bool { Execution.isFinal(status) }
}

extension Endpoint where Value == HistoryPage<ResultPost> {
    package static func resultPosts(_ filter: HistoryFilter) throws -> Endpoint {
        try history(
            filter, [("action", "chatops.post_result"), ("include_attributes", "id,status,parameters,start_timestamp")]
        ) { ResultPost($0) }
    }
}

extension Endpoint where Value == HistoryPage<ExecutionOutcome> {
    /// How executions stand.
    /// - Parameter action: what they were given as `source_context` is wanted as well, of those of this action only.
    package static func outcomes(_ filter: HistoryFilter, contextsOf action: String? = nil) throws -> Endpoint {
        let attributes = "id,status,start_timestamp,end_timestamp,web_url"
        let more =
            action.map { [("action", $0), ("include_attributes", attributes + ",liveaction")] }
            ?? [("include_attributes", attributes)]
        return try history(filter, more) { ExecutionOutcome($0) }
    }
}
