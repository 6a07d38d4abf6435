import Foundation
import PetrelKit

/// What came with a slash command, a button, a shortcut or a form: an address to answer at, five times within half an
/// hour, and leave to open a form, once and within seconds
/// (https://docs.slack.dev/interactivity/handling-user-interaction).
final class SlackPrompts: Sendable {
    private struct Entry {
        var url: URL?
        var trigger: String?
        var uses = 0
        var since = ContinuousClock.now
        var isCommand: Bool
    }

    private static let capacity = 1_000
    private static let uses = 5
    private static let lifetime = Duration.seconds(1_740)
    private static let triggerLifetime = Duration.milliseconds(2_900)

    private let entries = Locked<[String: Entry]>([:])

    /// - Parameter isCommand: all answers go to the address; else only what is for one person.
    func add(_ id: String, url: URL?, trigger: String, isCommand: Bool) {
        entries.withLock { entries in
            if entries.count >= Self.capacity { entries = entries.filter { Self.isAlive($0.value) } }
            guard entries.count < Self.capacity else { return }
            entries[id] = Entry(url: url, trigger: trigger, isCommand: isCommand)
        }
    }

    /// Where to answer; nil where there is no such address, or no longer one.
    func takeURL(_ id: String?, isPrivate: Bool) -> URL? {
        guard let id else { return nil }
        return entries.withLock { entries in
            guard var entry = entries[id] else { return nil }
            guard Self.isAlive(entry) else {
                entries[id] = nil
                return nil
            }
            guard let url = entry.url, entry.isCommand || isPrivate else { return nil }
            entry.uses += 1
            entries[id] = entry
            return url
        }
    }

    /// Leave to open a form; nil where there is none, or no longer.
    func takeTrigger(_ id: String?) -> String? {
        guard let id else { return nil }
        return entries.withLock { entries in
            guard let entry = entries[id], entry.since.duration(to: .now) < Self.triggerLifetime else { return nil }
            entries[id]?.trigger = nil
            return entry.trigger
        }
    }

    private static func isAlive(_ entry: Entry) -> Bool {
        entry.uses < uses && entry.since.duration(to: .now) < lifetime
    }
}
