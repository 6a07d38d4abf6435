import Foundation
import PetrelKit
import PetrelSupport

/// What came with a slash command, a button, a shortcut or a form: an address to answer at, five times within half an
/// hour, and leave to open a form, once and within seconds
/// (https://docs.slack.dev/interactivity/handling-user-interaction).
final class SlackPrompts: Sendable {
    private struct Entry: Sendable {
        var url: URL?
        var trigger: String?
        var uses = 0
        var since = ContinuousClock.now
        var kind: Kind
    }

    /// What of the answers goes to the address.
    enum Kind: Sendable {
        /// All, for one person only where the reply is.
        case command
        /// All, for the one person only: others may read along where it was typed, and the bot does not know who.
        case privateCommand
        /// What is for the one person only.
        case interaction
    }

    private static let capacity = 1_000
    private static let formCapacity = 200
    private static let uses = 5
    private static let lifetime = Duration.seconds(1_740)

    private let entries = Locked(Newest<Entry>(capacity))
    /// With answers that are to be corrected, and could not be shown in time.
    private let forms = Locked(Newest<Form>(formCapacity))

    func add(_ id: String, url: URL?, trigger: String, _ kind: Kind) {
        entries.withLock { entries in
            entries[id] = Entry(url: url, trigger: trigger, kind: kind)
        }
    }

    /// A form that was opened by one of these is answered where that would have been.
    func add(_ id: String, trigger: String, continuing earlier: String) {
        entries.withLock { entries in
            var entry = entries[earlier] ?? Entry(kind: .interaction)
            entry.trigger = trigger
            entries[id] = entry
        }
    }

    private static let formLine = "petrel form "

    /// Keeps a form for whoever presses a button.
    /// - Returns: the line of that button.
    func keep(_ form: Form) -> String {
        let key = UUID().uuidString
        forms.withLock { $0[key] = form }
        return Self.formLine + key
    }

    /// Whether a line is that of such a button, and the form where it is still known.
    func kept(_ line: String) -> (isKept: Bool, form: Form?) {
        guard line.hasPrefix(Self.formLine) else { return (false, nil) }
        return (true, forms.value[String(line.dropFirst(Self.formLine.count))])
    }

    /// The address is no longer one.
    func drop(_ id: String) { entries.withLock { $0[id]?.url = nil } }

    /// Where to answer, and whether to one person only; nil where there is no such address, or no longer one.
    func takeURL(_ id: String?, isPrivate: Bool) -> (url: URL, isPrivate: Bool)? {
        guard let id else { return nil }
        return entries.withLock { entries in
            guard var entry = entries[id] else { return nil }
            guard Self.isAlive(entry) else { return nil }
            guard let url = entry.url, entry.kind != .interaction || isPrivate else { return nil }
            entry.uses += 1
            entries[id] = entry
            return (url, isPrivate || entry.kind == .privateCommand)
        }
    }

    /// Leave to open a form, once; nil where there is none. Slack says whether it came in time.
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
