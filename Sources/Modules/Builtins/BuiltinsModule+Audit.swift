import Foundation
import PetrelKit
import PetrelSupport

extension BuiltinsModule {
    /// The options of `audit`.
    private struct AuditOptions {
        var person: String?
        var status: String?
        var onlyDenied = false
        var limit: Int?
    }

    /// Runs `audit [-user @x] [-limit N] [-denied] [-status S]`, with one hyphen or two. Decisions and the events of
    /// modules are one list; with a status, only events have it.
    func audit(_ invocation: Invocation) async throws -> Reply {
        // Where each line is a message, a longer list would keep the bot busy.
        let most = min(invocation.traits.maximumLines ?? 500, 500)
        let options = try options(invocation.arguments, most: most)
        let caller = CommandCaller(
            person: invocation.message.sender, room: invocation.message.room, backend: invocation.address.backend)
        if let status = options.status {
            guard !options.onlyDenied else { throw Refusal("-denied and -status exclude each other.") }
            let query = ActivityQuery(
                person: options.person, status: status, limit: options.limit ?? min(5, most), caller: caller)
            let lines = try await host.activities.activities(query).map(\.line)
            return Reply(lines.isEmpty ? "No jobs found" : lines.joined(separator: "\n"), isPrivate: true)
        }
        let limit = options.limit ?? min(20, most)
        let query = AuditQuery(person: options.person, onlyDenied: options.onlyDenied, limit: limit)
        var lines = try await host.audit.entries(query).map { (time: $0.time, text: Self.text($0, for: caller)) }
        if !options.onlyDenied {
            let query = ActivityQuery(person: options.person, limit: limit, caller: caller)
            lines += try await host.activities.activities(query).map {
                ($0.time, "\(Self.text($0.time)) job \($0.line)")
            }
        }
        guard !lines.isEmpty else { return Reply("There are no matching audit entries.", isPrivate: true) }
        let newest = lines.sorted { $0.time > $1.time }.prefix(limit)
        return Reply(newest.reversed().map(\.text).joined(separator: "\n"), isPrivate: true)
    }

    private static func text(_ time: Date) -> String { time.formatted(.iso8601) }

    private static func text(_ entry: AuditEntry, for caller: CommandCaller) -> String {
        let who = entry.person == entry.name ? entry.name : "\(entry.name) (\(entry.person))"
        let place = place(of: entry, for: caller)
        let rule = entry.rule.map { " · access_controls[\($0)]" } ?? ""
        // An identifier with a word before it, such as `job 12`, is not that of an execution.
        let started = entry.executions.map { $0.utf8.contains(UInt8(ascii: " ")) ? $0 : "execution \($0)" }
        let executions = started.isEmpty ? "" : " · " + started.joined(separator: ", ")
        let reason = entry.isAllowed ? rule : " · " + entry.reason
        let times = entry.repeats > 0 ? " · \(entry.repeats + 1) times within a minute" : ""
        return "\(text(entry.time)) \(entry.isAllowed ? "allowed" : "DENIED ") \(who) · \(place)"
            + " on \(entry.backend) · \(entry.line)\(reason)\(executions)\(times)"
    }

    /// Returns the room of an entry, unless it is private and the caller is neither in it nor the person of the entry.
    private static func place(of entry: AuditEntry, for caller: CommandCaller) -> String {
        guard let room = entry.room else { return "direct chat" }
        guard entry.isPrivateRoom else { return room }
        let isSameBackend = entry.backend.utf8.elementsEqual(caller.backend.utf8)
        let isInside = caller.room?.id.utf8.elementsEqual(room.utf8) == true
        let isOwn = entry.person.utf8.elementsEqual(caller.person.id.utf8)
        return isSameBackend && (isInside || isOwn) ? room : "unknown-channel"
    }

    private func options(_ arguments: String, most: Int) throws -> AuditOptions {
        var options = AuditOptions()
        // `--limit=5` equals `--limit 5`.
        var words = arguments.words.flatMap { word -> [String] in
            guard Self.isOption(word), let end = word.unicodeScalars.firstIndex(of: "=") else { return [word] }
            return [String(word[..<end]), String(word[word.unicodeScalars.index(after: end)...])]
        }
        words.reverse()
        while let word = words.popLast() {
            switch Self.isOption(word) ? Self.name(ofOption: word) : "" {
            case "denied": options.onlyDenied = true
            case "user":
                guard let user = words.popLast() else { throw Refusal("-user requires a name or an ID.") }
                options.person = user
            case "status":
                guard let status = words.popLast() else { throw Refusal("-status requires a status.") }
                options.status = status
            case "limit":
                guard let limit = words.popLast().flatMap({ Int($0) }), (1...most).contains(limit) else {
                    throw Refusal("-limit must be a whole number from 1 to \(most).")
                }
                options.limit = limit
            default:
                throw Refusal("Unknown option “\(word)”. The options are -user, -limit, -denied and -status.")
            }
        }
        return options
    }

    private static func isOption(_ word: String) -> Bool {
        word.unicodeScalars.first.map { $0 == "-" || $0 == "—" } ?? false
    }

    /// Returns the name of an option. Phones replace two hyphens by a dash.
    private static func name(ofOption word: String) -> String {
        String(word.unicodeScalars.drop { $0 == "-" || $0 == "—" })
    }
}
