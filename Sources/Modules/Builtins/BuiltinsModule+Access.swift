import Foundation
import PetrelKit

extension BuiltinsModule {
    /// Runs `acl why @user [#room] <command line>`.
    func explain(_ invocation: Invocation) throws -> Reply {
        let backend = invocation.address.backend
        guard let inquiry = inquiry(invocation.arguments, on: backend) else {
            throw Refusal(
                "Write `\(invocation.prefix)acl why @user [#room] <command line>`. Omit the room for a direct chat."
            )
        }
        let known = host.places.person(named: inquiry.person, on: backend)
        let person = known ?? Person(id: inquiry.person, name: inquiry.person)
        let place = inquiry.room.map { "in \($0.name)" } ?? "in a direct chat"
        guard let decision = host.rules.decision(on: inquiry.line, by: person, in: inquiry.room, on: backend) else {
            throw Refusal("Unknown command: there is no decision to explain.")
        }
        let who = person.id == person.name ? person.name : "\(person.name) (\(person.id))"
        let rule = decision.rule.map { "access_controls[\($0.index)] “\($0.command)”" } ?? "none"
        var lines = [
            "\(decision.isAllowed ? "allowed" : "denied"): \(who) \(place)", "rule: \(rule)",
            "reason: \(decision.reason)",
        ]
        if known == nil { lines.append("note: \(who) has not been seen on \(backend) yet; only this name was checked") }
        return Reply(lines.joined(separator: "\n"), isPrivate: true)
    }

    private struct Inquiry {
        var head: [String]
        var person: String
        var room: Room?
        var line: String
    }

    private func inquiry(_ arguments: String, on backend: String?) -> Inquiry? {
        var rest = Words(arguments)
        guard let why = rest.next(), why.lowercased() == "why", let person = rest.next() else { return nil }
        var inquiry = Inquiry(head: [why, person], person: person, line: "")
        if let word = rest.peek() {
            let known = backend.flatMap { host.places.room(named: word, on: $0) }
            let isDirect = word == "@" + host.bot.name
            if known != nil || isDirect || word.hasPrefix("#") {
                inquiry.room = isDirect ? nil : known ?? Room(id: word, name: word)
                inquiry.head.append(word)
                _ = rest.next()
            }
        }
        inquiry.line = rest.text
        return rest.text.isEmpty ? nil : inquiry
    }

    /// Returns the arguments of `acl` with the secrets of the line in them masked.
    func masked(_ arguments: String) -> String {
        guard let inquiry = inquiry(arguments, on: nil) else {
            return arguments.split(maxSplits: 1, whereSeparator: \.isWhitespace).first.map { "\($0) …" } ?? ""
        }
        return (inquiry.head + [host.rules.masked(inquiry.line)]).joined(separator: " ")
    }

    /// Runs `audit [--user @x] [--limit N] [--denied]`.
    func audit(_ invocation: Invocation) async throws -> Reply {
        let entries = try await host.audit.entries(try query(invocation.arguments))
        guard !entries.isEmpty else { return Reply("There are no matching audit entries.", isPrivate: true) }
        let lines = entries.reversed().map { entry in
            let who = entry.person == entry.name ? entry.name : "\(entry.name) (\(entry.person))"
            let place = entry.room ?? "direct chat"
            let rule = entry.rule.map { " · access_controls[\($0)]" } ?? ""
            let executions = entry.executions.isEmpty ? "" : " · execution " + entry.executions.joined(separator: ", ")
            let reason = entry.isAllowed ? rule : " · " + entry.reason
            let times = entry.repeats > 0 ? " · \(entry.repeats + 1) times within a minute" : ""
            return "\(entry.time.formatted(.iso8601)) \(entry.isAllowed ? "allowed" : "DENIED ") \(who) · \(place)"
                + " on \(entry.backend) · \(entry.line)\(reason)\(executions)\(times)"
        }
        return Reply(lines.joined(separator: "\n"), isPrivate: true)
    }

    private func query(_ arguments: String) throws -> AuditQuery {
        var query = AuditQuery()
        // `--limit=5` equals `--limit 5`, and phones replace two hyphens by a dash.
        let plain = arguments.split(separator: " ").map { word in
            let word = word.replacing("—", with: "--")
            return word.hasPrefix("--") ? word.replacing("=", with: " ", maxReplacements: 1) : word
        }
        var rest = Words(plain.joined(separator: " "))
        while let word = rest.next() {
            switch word {
            case "--denied": query.onlyDenied = true
            case "--user":
                guard let user = rest.next() else { throw Refusal("--user requires a name or an ID.") }
                query.person = user
            case "--limit":
                guard let limit = rest.next().flatMap({ Int($0) }), (1...500).contains(limit) else {
                    throw Refusal("--limit must be a whole number from 1 to 500.")
                }
                query.limit = limit
            default: throw Refusal("Unknown option “\(word)”. The options are --user, --limit and --denied.")
            }
        }
        return query
    }
}

/// A text that is read word by word.
private struct Words {
    private var rest: Substring

    init(_ text: String) {
        rest = text[...].drop(while: \.isWhitespace)
    }

    /// The text after the words that were read.
    var text: String { String(rest) }

    func peek() -> String? {
        rest.isEmpty ? nil : String(rest.prefix { !$0.isWhitespace })
    }

    mutating func next() -> String? {
        guard let word = peek() else { return nil }
        rest = rest.dropFirst(word.count).drop(while: \.isWhitespace)
        return word
    }
}
