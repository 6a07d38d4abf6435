import NIOCore
import PetrelKit
import PetrelSupport

/// The names of people and channels, asked for one by one and kept for a while; and where somebody is called by name,
/// the list of all.
actor SlackNames {
    private struct Entry {
        /// Nil where Slack did not tell.
        var name: String?
        var since = ContinuousClock.now
    }

    private static let capacity = 10_000
    private static let lifetime = Duration.seconds(3_600)
    private static let again = Duration.seconds(60)

    private let api: SlackAPI
    private let patience: TimeAmount
    private var entries: [String: Entry] = [:]
    private var identity: SlackIdentity?
    /// Who asks meanwhile waits for the same answer.
    private var asked: [String: Task<String?, any Error>] = [:]
    private let channels: SlackDirectory
    private let people: SlackDirectory

    /// - Parameter patience: how long an answer may take.
    init(_ api: SlackAPI, patience: Duration) {
        self.api = api
        self.patience = TimeAmount(patience)
        channels = SlackDirectory(
            api, "users.conversations", items: "channels",
            ["exclude_archived": "true", "types": "public_channel,private_channel"])
        people = SlackDirectory(api, "users.list", items: "members")
    }

    func know(_ identity: SlackIdentity) { self.identity = identity }

    /// Without `@` or `#`; nil where Slack does not tell it, and for people of other workspaces.
    func name(of id: String) async -> String? {
        if let entry = entries[id], entry.since.duration(to: .now) < Self.lifetime { return entry.name }
        let task = asked[id] ?? Task { [api, identity, patience] in try await Self.ask(id, api, identity, patience) }
        asked[id] = task
        do {
            let name = try await task.sharedValue
            // Meanwhile, a rename may have arrived, or another caller that waited may have stored the name.
            guard asked[id] == task else { return entries[id].map(\.name) ?? name }
            asked[id] = nil
            keep(Entry(name: name), for: id)
            return name
        } catch {
            if asked[id] == task { asked[id] = nil }
            // Slack does not tell it now: it is asked again in a while, not for each message.
            let known = entries[id]?.name
            keep(Entry(name: known, since: .now - (Self.lifetime - Self.again)), for: id)
            return known
        }
    }

    /// Counts at once, also for answers that are on their way and were given before.
    func take(_ rename: SlackRename) async {
        switch rename {
        case .channel(let id, let name):
            replace(name, of: id)
            await channels.rename(id, to: name)
        case .person(let id, let user):
            let isOurs = identity?.isOurs(user) != false
            replace(isOurs ? user["name"]?.string : nil, of: id)
            if let name = user["name"]?.string {
                await people.rename(id, to: user["deleted"]?.bool == true ? nil : name)
            }
        }
    }

    /// Replaces a name that is cached or being fetched; all other names are fetched when they are needed.
    private func replace(_ name: String?, of id: String) {
        guard entries[id] != nil || asked[id] != nil else { return }
        asked[id] = nil
        keep(Entry(name: name), for: id)
    }

    private func keep(_ entry: Entry, for id: String) {
        if entries.count >= Self.capacity { entries.removeAll(keepingCapacity: true) }
        entries[id] = entry
    }

    /// The id of a channel that the bot is in, by its name without `#`; nil where there is none.
    func channel(named name: String) async throws -> String? { try await channels.id(of: name) }

    /// The id of a person, by the name without `@`; nil where there is none.
    func person(named name: String) async throws -> String? { try await people.id(of: name) }

    private static func ask(
        _ id: String, _ api: SlackAPI, _ identity: SlackIdentity?, _ patience: TimeAmount
    ) async throws -> String? {
        if id.hasPrefix("U") || id.hasPrefix("W") {
            let answer = try await api.call("users.info", ["user": .string(id)], within: patience)
            guard let user = answer["user"], identity?.isOurs(user) != false else { return nil }
            return user["name"]?.string
        }
        let answer = try await api.call("conversations.info", ["channel": .string(id)], within: patience)
        return answer["channel"]?["name"]?.string
    }
}

/// Ids by names, from one of Slack's lists, which is had as a whole and kept for a while.
actor SlackDirectory {
    /// A list counts for so long, for what is not in it for less. It has so many pages at most.
    private static let lifetime = Duration.seconds(600)
    private static let relisting = Duration.seconds(30)
    private static let pages = 50
    /// Together with the pauses that Slack asks for.
    private static let patience = Duration.seconds(300)

    private let api: SlackAPI
    private let method: String
    private let items: String
    private let arguments: [String: JSONValue]
    private var ids: [String: String] = [:]
    private var listed: ContinuousClock.Instant?
    /// Who asks meanwhile waits for the same one.
    private var list: Task<[String: String], any Error>?

    /// - Parameter items: where an answer of the method has them.
    init(_ api: SlackAPI, _ method: String, items: String, _ arguments: [String: JSONValue] = [:]) {
        self.api = api
        self.method = method
        self.items = items
        self.arguments = arguments
    }

    /// Names that changed while a list is on its way.
    private var renamed: [String: String?] = [:]

    /// - Parameter name: nil where nobody is to be found by it any more.
    func rename(_ id: String, to name: String?) {
        if list != nil { renamed[id] = .some(name) }
        apply(name, to: id)
    }

    private func apply(_ name: String?, to id: String) {
        guard !ids.isEmpty, name.map({ ids[$0] != id }) ?? true else { return }
        for (old, holder) in ids where holder == id { ids[old] = nil }
        if let name { ids[name] = id }
    }

    func id(of name: String) async throws -> String? {
        if let age = listed?.duration(to: .now) {
            // It may have been made just now.
            if let id = ids[name], age < Self.lifetime { return id }
            if age < Self.relisting { return nil }
        }
        let list =
            list ?? Task { [api, method, items, arguments] in try await Self.list(api, method, items, arguments) }
        self.list = list
        defer { if self.list == list { self.list = nil } }
        ids = try await list.sharedValue
        for (id, name) in renamed { apply(name, to: id) }
        renamed = [:]
        listed = .now
        return ids[name]
    }

    private static func list(
        _ api: SlackAPI, _ method: String, _ items: String, _ arguments: [String: JSONValue]
    ) async throws -> [String: String] {
        var found: [String: String] = [:]
        var arguments = arguments
        arguments["limit"] = "1000"
        let start = ContinuousClock.now
        for _ in 0..<pages {
            let answer = try await patiently(until: start + patience) { [arguments] in
                try await api.call(method, arguments)
            }
            for item in answer[items]?.array ?? [] where item["deleted"]?.bool != true {
                guard let id = item["id"]?.string, let name = item["name"]?.string else { continue }
                found[name] = id
            }
            let cursor = answer["response_metadata"]?["next_cursor"]?.string ?? ""
            if cursor.isEmpty { break }
            arguments["cursor"] = .string(cursor)
        }
        return found
    }

    /// A list that is cut off for being asked for too quickly goes on where it was.
    private static func patiently(
        until end: ContinuousClock.Instant, _ call: @Sendable () async throws -> JSONValue
    ) async throws -> JSONValue {
        while true {
            do {
                return try await call()
            } catch let error as SlackError {
                guard let pause = error.retryAfter, .now + pause < end else { throw error }
                try await Task.sleep(for: pause)
            }
        }
    }
}
