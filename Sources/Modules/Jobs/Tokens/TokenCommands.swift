import Foundation
import PetrelKit
import PetrelSupport

/// The built-in commands about tokens, for administrators in direct chats.
struct TokenCommands: Sendable {
    let base: JobCommands
    let tokens: Tokens
    /// False if the configuration has no web server, so that tokens have no use yet.
    let hasWeb: Bool

    private var center: JobCenter { base.center }

    var commands: [Command] {
        var new = base.command(
            "token-new", "<@user> <#room> <command> [arguments]",
            "Create a token that runs a command over HTTP, as a person in a room.", isAdminOnly: true,
            isDirectOnly: true
        ) { try await add($0) }
        new.masking = { masked($0) }
        return [
            new,
            base.command(
                "tokens", "[-limit N] [-user U] [-channel C] [-command P]", "List the tokens.", isAdminOnly: true,
                isDirectOnly: true
            ) { try list($0) },
            base.command("token-revoke", "<token ID>", "Revoke a token.", isAdminOnly: true, isDirectOnly: true) {
                try await revoke($0)
            },
        ]
    }

    private func masked(_ arguments: String) -> String {
        let (user, rest) = arguments.firstWord
        let (room, line) = rest.firstWord
        return line.isEmpty ? arguments : "\(user) \(room) \(center.host.rules.masked(line))"
    }

    private func add(_ invocation: Invocation) async throws -> Reply {
        let (user, rest) = invocation.arguments.firstWord
        let (place, typed) = rest.firstWord
        guard !typed.isEmpty else {
            throw Refusal(
                "Not enough arguments. Write \(invocation.typed(center.line("token-new @user #room command [arguments]")))."
            )
        }
        let prefix = invocation.prefix
        let line =
            !prefix.isEmpty && typed.utf8.starts(with: prefix.utf8)
            ? String(typed.unicodeScalars.dropFirst(prefix.unicodeScalars.count)) : typed
        let backend = invocation.address.backend
        guard case .to(let address) = center.host.places.route(place, in: backend, orElse: nil) else {
            throw Refusal("“\(place)” is not a known place.")
        }
        let person = try person(user, on: address.backend)
        let seen = center.host.places.room(named: place, on: address.backend)
        let isCommand = center.definitions.contains { Command.key($0.name) == Command.key(place) }
        if seen == nil, !address.place.isDirect, isCommand {
            throw Refusal("“\(place)” is a command. Write the room before it, such as #ops.")
        }
        let room: Room? =
            switch address.place {
            case .direct: nil
            case .room(let id):
                seen ?? Room(id: id, name: place)
            }
        var token = TokenRecord(
            id: tokens.newID(), person: person.id, personName: person.name, isStable: person.isStable, room: room?.id,
            roomName: room?.name, isPrivateRoom: room?.isPrivate, address: address, line: line, created: .now,
            creator: invocation.message.sender.id)
        // Once and for all: later, the person could make it another command with an alias.
        token.line = center.resolved(line, token.caller)
        if try center.startsNoJob(token.line, token.caller) {
            throw Refusal("“\(Printable.line(token.line.firstWord.word))” starts no job, so a token cannot run it.")
        }
        let secret = try await tokens.add(token)
        let lines =
            [
                "created token \(secret.reveal())", "It is shown only now. Its ID is \(token.id).",
                self.line(of: token, for: invocation),
            ] + warnings(token)
        return Reply(lines.joined(separator: "\n"), isPrivate: true, isConfidential: true)
    }

    /// Returns the only person of a name, or throws a refusal.
    private func person(_ name: String, on backend: String) throws -> Person {
        let people = center.host.places.people(named: name, on: backend)
        guard let person = people.first else {
            throw Refusal("\(name) has not been seen on \(backend) yet. They have to send one message first.")
        }
        guard people.count == 1 else {
            let ids = people.prefix(10).map(\.id).joined(separator: ", ")
            throw Refusal("\(people.count) people are called \(name). Write the ID of one of them: \(ids).")
        }
        return person
    }

    private func warnings(_ token: TokenRecord) -> [String] {
        var warnings: [String] = []
        if let room = token.caller.room, center.host.places.room(named: room.name, on: token.address.backend) == nil {
            warnings.append(
                "Warning: \(room.name) has not been seen on \(token.address.backend) yet, so the replies may not arrive."
            )
        }
        if !hasWeb { warnings.append("Warning: the configuration has no section web, so tokens cannot be used yet.") }
        let caller = token.caller
        if let warning = center.warning(aboutStored: token.line, of: caller) { warnings.append(warning) }
        let decision = center.host.rules.decision(
            on: token.line, by: caller.person, in: caller.room, on: caller.backend)
        switch decision {
        case nil: warnings.append("Warning: there is no such command at the moment.")
        case let decision? where !decision.isAllowed:
            warnings.append("Warning: \(caller.person.name) may not run it at the moment: \(decision.reason).")
        default: break
        }
        return warnings
    }

    private func list(_ invocation: Invocation) throws -> Reply {
        let flags = try Flags(invocation.arguments, valued: ["limit", "user", "channel", "command"])
        try flags.refuseRest()
        let (user, channel, command) = (flags.values["user"], flags.values["channel"], flags.values["command"])
        let found = tokens.all.filter { token in
            if let user, !Self.isOne(user, of: [token.person, token.personName, "@\(token.person)"]),
                !Self.isOne("@\(user)", of: [token.personName])
            {
                return false
            }
            if let channel, isHidden(token, from: invocation) || !Self.isOne(channel, of: Self.names(ofRoomOf: token)) {
                return false
            }
            // The line as it is shown, so that a filter tells nothing about its secrets.
            return command.map { center.host.rules.masked(token.line).utf8.starts(with: $0.utf8) } ?? true
        }
        let lines = found.prefix(try flags.limit()).map { line(of: $0, for: invocation) }
        return base.answer(
            invocation, lines.isEmpty ? "No tokens could be found" : lines.joined(separator: "\n"), isPrivate: true)
    }

    private static func names(ofRoomOf token: TokenRecord) -> [String] {
        let bare = token.roomName.map { String($0.unicodeScalars.drop { $0 == "#" }) }
        return [token.room, token.roomName, bare].compactMap(\.self)
    }

    private static func isOne(_ text: String, of names: [String]) -> Bool {
        names.contains { $0.utf8.elementsEqual(text.utf8) }
    }

    /// Returns true if the room of a token is private, and the person has not created the token.
    private func isHidden(_ token: TokenRecord, from invocation: Invocation) -> Bool {
        let isCreator = token.creator.utf8.elementsEqual(invocation.message.sender.id.utf8)
        return token.isPrivateRoom == true && !isCreator
    }

    private func line(of token: TokenRecord, for invocation: Invocation) -> String {
        let isHidden = isHidden(token, from: invocation)
        let place = isHidden ? JobLines.unknownRoom : token.roomName ?? "the direct chat of \(token.address.place.id)"
        return
            "- \(token.id) \(JobLines.person(token.person, token.personName)) at \(place) \(Printable.line(center.host.rules.masked(token.line)))"
    }

    private func revoke(_ invocation: Invocation) async throws -> Reply {
        let flags = try Flags(invocation.arguments)
        guard flags.rest.count == 1, let id = flags.rest.first else {
            throw Refusal("token-revoke requires only one argument: the ID of the token, as tokens shows it.")
        }
        guard try await tokens.revoke(id) else { throw Refusal("There is no token with the ID \(id).") }
        return base.answer(invocation, "Token \(id) has been revoked", isPrivate: true)
    }
}
