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
