import NIOCore
import PetrelKit
import PetrelSupport

/// Looks up the names of users and channels by ID, and IDs by name. Results are cached.
actor SlackNames {
    private struct Entry {
        /// Nil if Slack did not return a name.
        var name: String?
        var since = ContinuousClock.now
    }

    /// The result of a lookup.
    private struct Found: Sendable {
        var name: String?
        /// True for a channel that everyone in the workspace can see.
        var isPublic = false
    }

    private static let capacity = 10_000
    private static let lifetime = Duration.seconds(3_600)
    /// The lifetime of an entry whose lookup failed.
    private static let again = Duration.seconds(60)

    private let api: SlackAPI
    private let patience: TimeAmount
    private var entries: [String: Entry] = [:]
    private var identity: SlackIdentity?
    /// Lookups in progress, which concurrent callers share.
    private var asked: [String: Task<Found, any Error>] = [:]
    /// The channels that everyone in the workspace can see.
    private var publicChannels: Set<String> = []
    private let channels: SlackDirectory
    private let people: SlackDirectory

    /// - Parameter patience: the timeout of a lookup.
    init(_ api: SlackAPI, patience: Duration) {
        self.api = api
        self.patience = TimeAmount(patience)
        channels = SlackDirectory(
            api, "users.conversations", items: "channels",
            ["exclude_archived": "true", "types": "public_channel,private_channel"])
        people = SlackDirectory(api, "users.list", items: "members")
    }

    /// Sets the identity of the bot, which determines whose users are in its workspace.
    func know(_ identity: SlackIdentity) { self.identity = identity }

    /// Returns the name of a user or a channel, without `@` or `#`; nil if it is not available, and for users of other
    /// workspaces.
    func name(of id: String) async -> String? {
        if let entry = entries[id], entry.since.duration(to: .now) < Self.lifetime { return entry.name }
        let task = asked[id] ?? Task { [api, identity, patience] in try await Self.ask(id, api, identity, patience) }
        asked[id] = task
        do {
            let found = try await task.sharedValue
            let name = found.name
            if found.isPublic { publicChannels.insert(id) } else { publicChannels.remove(id) }
            // Meanwhile, a rename may have arrived, or another caller that waited may have stored the name.
            guard asked[id] == task else { return entries[id].map(\.name) ?? name }
            asked[id] = nil
            keep(Entry(name: name), for: id)
            return name
        } catch {
            if asked[id] == task { asked[id] = nil }
            // A failure is cached for a shorter time, so that it does not cost a lookup per message.
            let known = entries[id]?.name
            keep(Entry(name: known, since: .now - (Self.lifetime - Self.again)), for: id)
            return known
        }
    }

    /// Returns true unless Slack has told, when the name was looked up, that everyone in the workspace can see a channel.
    func isPrivate(_ id: String) -> Bool { !publicChannels.contains(id) }

    /// Applies a rename immediately. It also overrides lookups in progress, whose responses may contain the old name.
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
        if entries.count >= Self.capacity {
            entries.removeAll(keepingCapacity: true)
            publicChannels = publicChannels.intersection([id])
        }
        entries[id] = entry
    }

    /// Returns the ID of a channel that the bot is a member of, by its name without `#`; nil if none exists.
    func channel(named name: String) async throws -> String? { try await channels.id(of: name) }

    /// Returns the ID of a user, by the name without `@`; nil if none exists.
    func person(named name: String) async throws -> String? { try await people.id(of: name) }

    private static func ask(
        _ id: String, _ api: SlackAPI, _ identity: SlackIdentity?, _ patience: TimeAmount
    ) async throws -> Found {
        if id.hasPrefix("U") || id.hasPrefix("W") {
            let answer = try await api.call("users.info", ["user": .string(id)], within: patience)
            guard let user = answer["user"], identity?.isOurs(user) != false else { return Found() }
            return Found(name: user["name"]?.string)
        }
        let answer = try await api.call("conversations.info", ["channel": .string(id)], within: patience)
        let channel = answer["channel"]
        let isPublic = channel?["is_private"] == false && channel?["is_mpim"] != true
        return Found(name: channel?["name"]?.string, isPublic: isPublic)
    }
}

/// IDs by name, from a list method of Slack that is read completely and cached.
actor SlackDirectory {
    private static let lifetime = Duration.seconds(600)
    /// The minimum time between two lists, which limits how often an unknown name causes a new one.
    private static let relisting = Duration.seconds(30)
    /// The maximum number of pages of a list.
    private static let pages = 50
    /// The maximum duration of a list, including the pauses for rate limits.
    private static let patience = Duration.seconds(300)

    private let api: SlackAPI
    private let method: String
    private let items: String
    private let arguments: [String: JSONValue]
    private var ids: [String: String] = [:]
    private var listed: ContinuousClock.Instant?
    /// The list in progress, which concurrent callers share.
    private var list: Task<[String: String], any Error>?

    /// - Parameter items: the key of the response that contains the items.
    init(_ api: SlackAPI, _ method: String, items: String, _ arguments: [String: JSONValue] = [:]) {
        self.api = api
        self.method = method
        self.items = items
        self.arguments = arguments
    }

    /// Names that changed while a list was in progress.
    private var renamed: [String: String?] = [:]

    /// Changes the name of an ID.
    /// - Parameter name: the new name; nil removes the ID from the directory.
    func rename(_ id: String, to name: String?) {
        if list != nil { renamed[id] = .some(name) }
        apply(name, to: id)
    }

    private func apply(_ name: String?, to id: String) {
        guard !ids.isEmpty, name.map({ ids[$0] != id }) ?? true else { return }
        for (old, holder) in ids where holder == id { ids[old] = nil }
        if let name { ids[name] = id }
    }

    /// Returns the ID for a name; nil if the list does not contain it.
    func id(of name: String) async throws -> String? {
        if let age = listed?.duration(to: .now) {
            // An unknown name may be new, so the list is read again before its lifetime ends.
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

    /// Repeats a rate-limited call after the requested pause, so that a list continues at the same page.
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
