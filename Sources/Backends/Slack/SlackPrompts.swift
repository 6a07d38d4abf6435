import Foundation
import PetrelKit
import PetrelSupport

/// The response URLs and triggers of slash commands and interactions. A response URL can be used five times within half
/// an hour; a trigger can open one form within seconds
/// (https://docs.slack.dev/interactivity/handling-user-interaction).
final class SlackPrompts: Sendable {
    private struct Entry: Sendable {
        var url: URL?
        var trigger: String?
        var uses = 0
        var since = ContinuousClock.now
        var kind: Kind
    }

    /// The replies that are sent to the response URL.
    enum Kind: Sendable {
        /// All replies; private replies are ephemeral.
        case command
        /// All replies, always ephemeral: the direct message channel may be one of other users, who would read them.
        case privateCommand
        /// Private replies only.
        case interaction
    }

    private static let capacity = 1_000
    private static let formCapacity = 200
    private static let uses = 5
    private static let lifetime = Duration.seconds(1_740)

    private let entries = Locked(Newest<String, Entry>(capacity))
    /// Forms with rejected values that could not be reopened in time.
    private let forms = Locked(Newest<String, Form>(formCapacity))

    /// Adds the response URL and the trigger of a slash command or an interaction.
    func add(_ id: String, url: URL?, trigger: String, _ kind: Kind) {
        entries.withLock { entries in
            entries[id] = Entry(url: url, trigger: trigger, kind: kind)
        }
    }

    /// Adds the trigger of a submitted form, whose replies use the response URL of the prompt that opened it.
    func add(_ id: String, trigger: String, continuing earlier: String) {
        entries.withLock { entries in
            var entry = entries[earlier] ?? Entry(kind: .interaction)
            entry.trigger = trigger
            entries[id] = entry
        }
    }

    private static let formLine = "petrel form "

    /// Stores a form so that a button can reopen it.
    /// - Returns: the command line of that button.
    func keep(_ form: Form) -> String {
        let key = UUID().uuidString
        forms.withLock { $0[key] = form }
        return Self.formLine + key
    }

    /// Looks up a stored form. `isKept` is true if the line belongs to a button that reopens a form; `form` is nil if
    /// that form is no longer stored.
    func kept(_ line: String) -> (isKept: Bool, form: Form?) {
        guard line.hasPrefix(Self.formLine) else { return (false, nil) }
        return (true, forms.value[String(line.dropFirst(Self.formLine.count))])
    }

    /// Removes a response URL that has expired.
    func drop(_ id: String) { entries.withLock { $0[id]?.url = nil } }

    /// Returns a response URL, whether the answer has to be ephemeral, and whether it is the last one; nil if no URL is
    /// usable. Counts one use.
    func takeURL(_ id: String?, isPrivate: Bool) -> (url: URL, isPrivate: Bool, isLast: Bool)? {
        guard let id else { return nil }
        return entries.withLock { entries in
            guard var entry = entries[id] else { return nil }
            guard Self.isAlive(entry) else { return nil }
            guard let url = entry.url, entry.kind != .interaction || isPrivate else { return nil }
            entry.uses += 1
            entries[id] = entry
            return (url, isPrivate || entry.kind == .privateCommand, entry.uses == Self.uses)
        }
    }

    /// Removes and returns a trigger; nil if none exists. Slack rejects a trigger that has expired.
    func takeTrigger(_ id: String?) -> String? {
        guard let id else { return nil }
        return entries.withLock { entries in
            let trigger = entries[id]?.trigger
            entries[id]?.trigger = nil
            return trigger
        }
    }

    private static func isAlive(_ entry: Entry) -> Bool {
        entry.uses < uses && entry.since.duration(to: .now) < lifetime
    }
}
