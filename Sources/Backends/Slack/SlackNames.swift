import NIOCore
import PetrelKit

/// The names of people and channels, asked for one by one and kept for a while.
actor SlackNames {
    private struct Entry {
        var name: String
        var since = ContinuousClock.now
    }

    private static let capacity = 10_000
    private static let lifetime = Duration.seconds(3_600)
    private static let again = Duration.seconds(60)
    /// Messages wait for names, in the order in which they came.
    private static let patience = TimeAmount.seconds(3)

    /// A list of the workspace counts for so long, for what is not in it for less. It has so many pages at most.
    private static let listing = Duration.seconds(600)
    private static let relisting = Duration.seconds(30)
    private static let pages = 50

    private let api: SlackAPI
    private var entries: [String: Entry] = [:]
    /// Ids of channels by their names.
    private var channels: [String: String] = [:]
    private var listed: ContinuousClock.Instant?
    /// Who asks meanwhile waits for the same one.
    private var list: Task<[String: String], any Error>?

    init(_ api: SlackAPI) {
        self.api = api
    }

    /// Without `@` or `#`. Where Slack does not tell it, the identifier.
    func name(of id: String) async -> String {
        if let entry = entries[id], entry.since.duration(to: .now) < Self.lifetime { return entry.name }
        // Slack does not tell it now: it is asked again in a while, not for each message.
        guard let name = try? await ask(id) else {
            let known = entries[id]?.name ?? id
            entries[id] = Entry(name: known, since: .now - (Self.lifetime - Self.again))
            return known
        }
        if entries.count >= Self.capacity { entries.removeAll(keepingCapacity: true) }
        entries[id] = Entry(name: name)
        return name
    }

    /// The id of a channel that the bot can see, by its name without `#`; nil where there is none.
    func channel(named name: String) async throws -> String? {
        if let age = listed?.duration(to: .now) {
            // It may have been made just now.
            if let id = channels[name], age < Self.listing { return id }
            if age < Self.relisting { return nil }
        }
        let list = list ?? Task { [api] in try await Self.list(api) }
        self.list = list
        defer { if self.list == list { self.list = nil } }
        channels = try await list.sharedValue
        listed = .now
        return channels[name]
    }

    private static func list(_ api: SlackAPI) async throws -> [String: String] {
        var found: [String: String] = [:]
        var cursor = ""
        for _ in 0..<pages {
            let answer = try await api.call(
                "conversations.list",
                [
                    "limit": "1000", "exclude_archived": "true", "types": "public_channel,private_channel",
                    "cursor": .string(cursor),
                ])
            for channel in answer["channels"]?.array ?? [] {
                guard let id = channel["id"]?.string, let name = channel["name"]?.string else { continue }
                found[name] = id
            }
            cursor = answer["response_metadata"]?["next_cursor"]?.string ?? ""
            if cursor.isEmpty { break }
        }
        return found
    }

    private func ask(_ id: String) async throws -> String? {
        if id.hasPrefix("U") || id.hasPrefix("W") {
            let answer = try await api.call("users.info", ["user": .string(id)], within: Self.patience)
            return answer["user"]?["name"]?.string
        }
        let answer = try await api.call("conversations.info", ["channel": .string(id)], within: Self.patience)
        return answer["channel"]?["name"]?.string
    }
}
