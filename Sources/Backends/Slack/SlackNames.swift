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
    /// Messages wait for names, in the order in which they came.
    private static let patience = TimeAmount.seconds(3)

    private let api: SlackAPI
    private var entries: [String: Entry] = [:]

    init(_ api: SlackAPI) {
        self.api = api
    }

    /// Without `@` or `#`. Where Slack does not tell it, the identifier.
    func name(of id: String) async -> String {
        if let entry = entries[id], entry.since.duration(to: .now) < Self.lifetime { return entry.name }
        guard let name = try? await ask(id) else { return entries[id]?.name ?? id }
        if entries.count >= Self.capacity { entries.removeAll(keepingCapacity: true) }
        entries[id] = Entry(name: name)
        return name
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
