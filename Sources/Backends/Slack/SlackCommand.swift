import Foundation
import PetrelKit

/// A slash command (https://docs.slack.dev/interactivity/implementing-slash-commands): `/st2 pack list` is what
/// `!st2 pack list` is.
struct SlackCommand: Sendable, Equatable {
    /// With its slash.
    var name: String
    var channel: String
    var user: String
    /// Names this call of it.
    var trigger: String
    /// As Slack sends it, with the name of the command in front, without its slash.
    var raw: String
    var responseURL: URL?

    /// Nil where something is missing.
    init?(_ payload: JSONValue) {
        guard let command = payload["command"]?.string, command.hasPrefix("/"), command.count > 1,
            let user = payload["user_id"]?.string, let channel = payload["channel_id"]?.string
        else { return nil }
        name = command
        self.user = user
        self.channel = channel
        trigger = payload["trigger_id"]?.string ?? UUID().uuidString
        let text = payload["text"]?.string ?? ""
        raw = command.dropFirst() + (text.isEmpty ? "" : " \(text)")
        responseURL = payload["response_url"]?.string.flatMap { URL(string: $0) }
    }

    var isDirect: Bool { channel.hasPrefix("D") }

    /// Names the command and who typed it, as the ids of messages do.
    var id: String { "\(channel)/\(trigger)/\(user)" }
}

/// Where slash commands are answered: five times within half an hour.
final class ResponseURLs: Sendable {
    private struct Entry {
        var url: URL
        var uses = 0
        var since = ContinuousClock.now
    }

    private static let capacity = 1_000
    private static let uses = 5
    private static let lifetime = Duration.seconds(1_740)

    private let entries = Locked<[String: Entry]>([:])

    func add(_ url: URL, for id: String) {
        entries.withLock { entries in
            if entries.count >= Self.capacity { entries = entries.filter { Self.isAlive($0.value) } }
            if entries.count < Self.capacity { entries[id] = Entry(url: url) }
        }
    }

    /// Nil where it is none, or no longer one.
    func take(_ id: String?) -> URL? {
        guard let id else { return nil }
        return entries.withLock { entries in
            guard var entry = entries[id] else { return nil }
            guard Self.isAlive(entry) else {
                entries[id] = nil
                return nil
            }
            entry.uses += 1
            entries[id] = entry
            return entry.url
        }
    }

    private static func isAlive(_ entry: Entry) -> Bool {
        entry.uses < uses && entry.since.duration(to: .now) < lifetime
    }
}
