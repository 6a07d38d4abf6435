import Foundation
package import PetrelKit
import PetrelSupport

extension CommandTable.Parsed {
    /// Returns the question for the access rules.
    package func question(by person: Person, in room: Room?, on backend: String) -> AccessControl.Question {
        var question = match.question(by: person, in: room, on: backend)
        question.readings = { self.readings }
        return question
    }
}

extension CommandTable.Match {
    /// Returns the question for the access rules on a line that is not parsed.
    package func question(by person: Person, in room: Room?, on backend: String) -> AccessControl.Question {
        var question = AccessControl.Question(
            person: person, room: room, backend: backend, module: entry.module, lines: lines)
        question.isAdminOnly = entry.command.isAdminOnly
        question.isDirectOnly = entry.command.isDirectOnly
        question.needsStableIdentity = entry.command.needsStableIdentity
        if let objection = entry.command.objection {
            let caller = CommandCaller(person: person, room: room, backend: backend)
            question.commandObjection = { objection(caller) }
        }
        return question
    }
}

extension AuditEntry {
    init(
        _ call: CommandTable.Parsed, in table: CommandTable, _ decision: AccessDecision, _ message: ChatMessage,
        _ backend: String
    ) {
        self.init(
            backend: backend, person: message.sender.id, name: message.sender.name,
            room: message.room.map { $0.isPrivate ? $0.id : $0.name },
            isPrivateRoom: message.room?.isPrivate == true,
            line: table.masked(call), isAllowed: decision.isAllowed,
            rule: decision.rule?.index, reason: decision.reason)
    }
}

extension Dispatcher {
    func invocation(
        of call: CommandTable.Parsed, _ message: ChatMessage, _ address: Address, _ policy: Policy,
        _ entry: UUID
    ) -> Invocation {
        Invocation(
            message: message, address: address,
            traits: delivery.backend(address.backend)?.traits ?? BackendTraits(),
            command: call.match.entry.command.name, arguments: call.match.arguments, parsed: call.line?.value,
            line: call.match.lines[0],
            prefix: policy.prefixes.prefix, isAdmin: policy.access.isAdmin(message.sender, on: address.backend),
            started: { [audit] execution, line in audit.started(execution, line: line, by: entry) },
            send: { [delivery] reply, marks in delivery.answer(reply, to: address, marks) })
    }

    /// Returns the commands that help lists, in the order of their names.
    func visible(to person: Person, in room: Room?, on backend: String) -> [Command] {
        registry.table.entries.map(\.command).filter { command in
            guard command.isListed, !command.name.isEmpty else { return false }
            // A command with further lines is listed if the person may run any of them.
            return shows(command.name, to: person, in: room, on: backend)
                || command.lines?().contains { shows($0, to: person, in: room, on: backend) } ?? false
        }.sorted { $0.name < $1.name }
    }

    /// Returns true if help shows a line with placeholders. Commands for direct chats are shown in rooms, too.
    func shows(_ template: String, to person: Person, in room: Room?, on backend: String) -> Bool {
        let policy = currentPolicy
        guard let match = registry.table.find(template) else { return false }
        var question = match.question(by: person, in: room, on: backend)
        question.isTemplate = true
        question.isDirectOnly = false
        let decision = policy.access.decide(question)
        return decision.isAllowed || (!policy.hidesCommands && decision.ground != .admin)
    }

    /// Returns the decision on a line; nil if there is no such command.
    func decision(on line: String, by person: Person, in room: Room?, on backend: String) -> AccessDecision? {
        let caller = CommandCaller(person: person, room: room, backend: backend)
        return registry.table.find(bare(line)).map { decide($0.parsed(), by: caller) }
    }

    private func decide(_ call: CommandTable.Parsed, by caller: CommandCaller) -> AccessDecision {
        if let silence = silence(towards: caller) {
            return AccessDecision(isAllowed: false, rule: nil, ground: .command(silence))
        }
        return currentPolicy.access.decide(
            call.question(by: caller.person, in: caller.room, on: caller.backend))
    }

    /// Finds, parses and evaluates a line; see ``Judging/call(_:by:)``.
    func call(_ line: String, by caller: CommandCaller) throws -> JudgedCall? {
        let message = ChatMessage(id: "", sender: caller.person, room: caller.room, text: line)
        if let objection = currentPolicy.limits.objection(to: message) { throw Refusal(objection) }
        guard let call = registry.table.find(bare(line))?.parsed() else { return nil }
        return JudgedCall(
            command: call.match.entry.command.name, arguments: call.match.arguments, parsed: call.line?.value,
            masked: call.masked,
            decision: decide(call, by: caller))
    }

    /// Returns a line without the prefix, if it has one.
    private func bare(_ line: String) -> String {
        let text = CommandText(line).text
        let message = ChatMessage(id: "", sender: Person(id: "", name: ""), text: text)
        return currentPolicy.prefixes.strip(text, from: message) ?? text
    }

    /// Returns true if a line contains a secret that is masked in the audit log.
    package func holdsSecrets(_ line: String) -> Bool {
        let table = registry.table
        return table.find(bare(line)).map { table.masked($0.parsed()) != $0.lines[0] } ?? false
    }

    /// Returns a line with its secrets masked.
    /// - Parameter line: the line, with or without the prefix.
    func masked(_ line: String) -> String {
        let bare = bare(line)
        let table = registry.table
        if let match = table.find(bare) { return table.masked(match.parsed()) }
        // An unknown command may be a mistyped one with secrets.
        let (word, rest) = bare.firstWord
        return rest.isEmpty ? word : "\(word) …"
    }
}

/// The modules that change how lines are read and answered.
struct LineHooks: Sendable {
    var expanders: [any LineExpanding] = []
    var answerers: [any UnknownAnswering] = []
    var silencers: [any Silencing] = []
}

extension Dispatcher {
    /// Returns the reason for which no line of a caller is answered.
    func silence(towards caller: CommandCaller) -> CommandObjection? {
        hooks.value.silencers.lazy.compactMap { $0.silence(towards: caller) }.first
    }

    /// Returns the line that a module puts in place of a line.
    func expanded(_ line: String, _ message: ChatMessage, _ backend: String) -> String {
        let expanders = hooks.value.expanders
        let line = withoutSlashCommand(line, message) ?? line
        guard !expanders.isEmpty else { return line }
        let caller = CommandCaller(person: message.sender, room: message.room, backend: backend)
        let expanded = expanders.lazy.compactMap { $0.expanded(line, for: caller) }.first
        return expanded.map { CommandText($0).text } ?? line
    }

    /// Returns the reply to a line that exceeds a limit with what a module has put in place of its beginning; nil if it
    /// does not.
    func objection(to expanded: String, of message: ChatMessage, typed: String, _ policy: Policy) -> String? {
        guard !expanded.utf8.elementsEqual(typed.utf8) else { return nil }
        var message = message
        message.text = expanded
        return policy.limits.objection(to: message)
    }

    /// Returns a line without the name of its slash command, if only the rest begins with a command: `/bot hello` stands
    /// for `hello`, unless there is a command `bot`.
    private func withoutSlashCommand(_ line: String, _ message: ChatMessage) -> String? {
        guard let name = message.slashCommand?.utf8.dropFirst() else { return nil }
        let (word, rest) = line.firstWord
        let table = registry.table
        guard word.utf8.elementsEqual(name), table.find(line)?.entry.command.name.isEmpty != false,
            table.find(rest)?.entry.command.name.isEmpty == false
        else { return nil }
        return rest
    }
}
