import Foundation
import PetrelKit

extension BuiltinsModule {
    /// `acl why @user #room <command line>`.
    func explain(_ invocation: Invocation) throws -> Reply {
        let usage =
            "Write `\(invocation.prefix)acl why @user #room <command line>`, or leave out the room for a direct chat."
        var rest = Words(invocation.arguments)
        guard rest.next()?.lowercased() == "why", let name = rest.next() else { throw Refusal(usage) }
        let backend = invocation.address.backend
        let person = overview.person(named: name, on: backend)
        var room: Room?
        if let word = rest.peek() {
            let known = overview.room(named: word, on: backend)
            if word.hasPrefix("#") || known.name != word {
                room = known
                _ = rest.next()
            } else if word == "@" + overview.name {
                _ = rest.next()
            }
        }
        guard !rest.text.isEmpty else { throw Refusal(usage) }
        let place = room.map { "in \($0.name)" } ?? "in a direct chat"
        guard let decision = overview.decision(on: rest.text, by: person, in: room, on: backend) else {
            throw Refusal("No command is called that: there is nothing to decide.")
        }
        let who = person.id == person.name ? person.name : "\(person.name) (\(person.id))"
        return Reply(
            """
            \(decision.isAllowed ? "allowed" : "denied"): \(who) \(place)
            rule: \(decision.rule.map { "access_controls[\($0.index)] “\($0.command)”" } ?? "none")
            reason: \(decision.reason)
            """, isPrivate: true)
    }

    /// The arguments of `acl` as the audit may keep them: the line inside may have secrets of its own.
    func masked(_ arguments: String) -> String {
        var rest = Words(arguments)
        var head: [String] = []
        while let word = rest.peek(), head.count < 2 || word.hasPrefix("#") || word.hasPrefix("@") {
            head.append(word)
            _ = rest.next()
        }
        return (head + [overview.masked(rest.text)]).joined(separator: " ")
    }

    /// `audit [--user @x] [--limit N] [--denied]`.
    func audit(_ invocation: Invocation) async throws -> Reply {
        let entries = try await log.entries(try query(invocation.arguments))
        guard !entries.isEmpty else { return Reply("The audit has nothing like that.", isPrivate: true) }
        let lines = entries.reversed().map { entry in
            let who = entry.person == entry.name ? entry.name : "\(entry.name) (\(entry.person))"
            let place = entry.room ?? "direct chat"
            let rule = entry.rule.map { " · access_controls[\($0)]" } ?? ""
            let executions = entry.executions.isEmpty ? "" : " · execution " + entry.executions.joined(separator: ", ")
            let reason = entry.isAllowed ? rule : " · " + entry.reason
            return "\(entry.time.formatted(.iso8601)) \(entry.isAllowed ? "allowed" : "DENIED ") \(who) · \(place)"
                + " on \(entry.backend) · \(entry.line)\(reason)\(executions)"
        }
        return Reply(lines.joined(separator: "\n"), isPrivate: true)
    }

    private func query(_ arguments: String) throws -> AuditQuery {
        var query = AuditQuery()
        var rest = Words(arguments)
        while let word = rest.next() {
            // A phone makes one dash of two.
            switch word.replacing("—", with: "--") {
            case "--denied": query.onlyDenied = true
            case "--user":
                guard let user = rest.next() else { throw Refusal("--user needs a name or an id after it.") }
                query.person = user
            case "--limit":
                guard let limit = rest.next().flatMap({ Int($0) }), (1...500).contains(limit) else {
                    throw Refusal("--limit must be a whole number from 1 to 500.")
                }
                query.limit = limit
            default: throw Refusal("I do not know “\(word)”. There are --user, --limit and --denied.")
            }
        }
        return query
    }
}

/// A text, word by word.
private struct Words {
    private var rest: Substring

    init(_ text: String) {
        rest = text[...].drop(while: \.isWhitespace)
    }

    /// What follows the words that were taken.
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
