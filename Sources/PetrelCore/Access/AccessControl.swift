package import PetrelKit

/// The access rules, and the decisions by them. Decisions are synchronous and name the rule that applied.
package struct AccessControl: Sendable {
    /// A further interpretation of a line, as access rules see it; see ``LineReading``.
    package enum Reading: Sendable {
        /// A line that must be allowed as well, with each variant of its command's name.
        case lines([String])
        /// A part of the line that no `denyargs` may match, with each variant of its command's name.
        case part([String])
        /// A line that is expanded only when it runs.
        case unforeseeable
    }

    /// A line as access rules see it, and the requirements of its command.
    package struct Question: Sendable {
        /// The person who wants to run the line.
        package var person: Person
        /// The room; nil in a direct chat.
        package var room: Room?
        /// The name of the backend.
        package var backend: String
        /// The name of the module of the command.
        package var module: String
        /// The normalised line, with each variant of its command's name.
        package var lines: [String]
        /// Returns the further interpretations of the line. It is called only if there are rules.
        package var readings: @Sendable () -> [Reading] = { [] }
        /// Returns the objection of the command itself.
        package var commandObjection: @Sendable () -> CommandObjection? = { nil }
        /// True if the command is for administrators.
        package var isAdminOnly = false
        /// True if the command is for direct chats.
        package var isDirectOnly = false
        /// True if the command requires an identity that is bound to one account.
        package var needsStableIdentity = false
        /// True for a line with placeholders, as help shows it: rules about arguments do not apply to it.
        package var isTemplate = false

        /// Creates a question about a command without requirements.
        package init(person: Person, room: Room?, backend: String, module: String, lines: [String]) {
            self.person = person
            self.room = room
            self.backend = backend
            self.module = module
            self.lines = lines
        }
    }

    /// The administrators, as ids or as names with `@`.
    package var admins: Set<String>
    /// True if names are matched besides ids.
    package var matchesNames: Bool
    /// The name of a direct chat in lists of rooms: `@` and the name of the bot.
    package let directRoom: String
    /// The rules. The first rule that matches a line applies.
    package let rules: [AccessRule]
    /// The limits for lines that no rule matches.
    package let usual: AccessLimits
    private let index: RuleIndex

    /// Creates access rules.
    package init(
        admins: Set<String> = [], matchesNames: Bool = true, botName: String = "petrel", rules: [AccessRule] = [],
        usual: AccessLimits = AccessLimits()
    ) {
        self.admins = admins
        self.matchesNames = matchesNames
        directRoom = "@" + botName
        self.rules = rules
        self.usual = usual
        index = RuleIndex(rules)
    }

    /// Returns true if a person is an administrator.
    package func isAdmin(_ person: Person, on backend: String) -> Bool { isListed(person, on: backend, in: admins) }

    /// Returns true if a list contains a person; see ``Judging/isListed(_:on:in:)``.
    package func isListed(_ person: Person, on backend: String, in people: Set<String>) -> Bool {
        guard person.isStable, !people.isEmpty else { return false }
        let names = matchesNames ? [person.id, person.name] : [person.id]
        return names.contains { people.contains($0) || people.contains("\(backend)/\($0)") }
    }

    /// Decides on a line: it is allowed if the line and all further interpretations of it are allowed.
    package func decide(_ question: Question) -> AccessDecision {
        let decision = decideAsTyped(question)
        guard decision.isAllowed, decision.ground != .open, !question.isTemplate else { return decision }
        for reading in question.readings() {
            guard var objection = objection(to: reading, of: question, after: decision) else { continue }
            objection.isAboutReading = true
            return objection
        }
        return decision
    }

    private func objection(
        to reading: Reading, of question: Question, after decision: AccessDecision
    ) -> AccessDecision? {
        func denied(_ ground: AccessDecision.Ground) -> AccessDecision {
            AccessDecision(isAllowed: false, rule: decision.rule, ground: ground)
        }
        switch reading {
        case .lines(let lines):
            var other = question
            other.lines = lines
            let decision = decideAsTyped(other)
            return decision.isAllowed ? nil : decision
        case .part(let lines):
            let limits = decision.rule.flatMap { rule in rules.first { $0.index == rule.index } }?.limits ?? usual
            let isDenied = limits.arguments.deny.map { deny in lines.contains(where: deny.matches) } ?? false
            return isDenied ? denied(.arguments) : nil
        case .unforeseeable: return denied(.unforeseeable)
        }
    }

    private func decideAsTyped(_ question: Question) -> AccessDecision {
        let rule = rules.isEmpty ? nil : firstRule(for: question)
        let named = rule.map { AccessDecision.Rule(index: $0.index, command: $0.command) }
        func denied(_ ground: AccessDecision.Ground, _ subject: String = "") -> AccessDecision {
            AccessDecision(isAllowed: false, rule: named, ground: ground, subject: subject)
        }
        let limits = rule?.limits ?? usual
        if let ground = objection(of: limits, to: question) {
            return denied(ground, subject(of: ground, question))
        }
        if question.isAdminOnly, !isAdmin(question.person, on: question.backend) { return denied(.admin) }
        if question.needsStableIdentity, !question.person.isStable { return denied(.identity, question.person.name) }
        if question.isDirectOnly, question.room != nil { return denied(.directOnly) }
        if let objection = question.commandObjection() { return denied(.command(objection)) }
        let isOpen = rules.isEmpty && usual.isEmpty && !question.isAdminOnly
        return AccessDecision(isAllowed: true, rule: named, ground: isOpen ? .open : .passed)
    }

    private func firstRule(for question: Question) -> AccessRule? {
        var first: Int?
        for line in question.lines {
            let text = GlobText(line, ignoringCase: true)
            first = index.first(matching: text, module: question.module, before: first ?? .max) ?? first
        }
        return first.map { rules[$0] }
    }

    private func objection(of limits: AccessLimits, to question: Question) -> AccessDecision.Ground? {
        if limits.isEmpty { return nil }
        if !question.isTemplate, !limits.arguments.admits(question.lines) { return .arguments }
        if mayBeDenied(limits.users, isNamed: question.person.isNamed) { return .unnamed }
        if !limits.users.isEmpty, !limits.users.admits(subject(question.person.id, question.person.name, question)) {
            return .user
        }
        guard let room = question.room else {
            return limits.allowsDirect && limits.rooms.admits([directRoom]) ? nil : .direct
        }
        if !limits.allowsRooms { return .group }
        if mayBeDenied(limits.rooms, isNamed: room.isNamed) { return .unnamed }
        return limits.rooms.isEmpty || limits.rooms.admits(subject(room.id, room.name, question)) ? nil : .room
    }

    private func subject(of ground: AccessDecision.Ground, _ question: Question) -> String {
        switch ground {
        case .user: question.person.name
        case .unnamed: question.person.isNamed ? question.room?.id ?? "" : question.person.id
        default: question.room?.name ?? ""
        }
    }

    /// Returns true if a list denies names while the name is not available, because it may be one of them.
    private func mayBeDenied(_ lists: AccessLists, isNamed: Bool) -> Bool {
        !isNamed && matchesNames && lists.deny?.goesByNames == true
    }

    private func subject(_ id: String, _ name: String, _ question: Question) -> AccessSubject {
        AccessSubject(id: id, name: matchesNames && name != id ? name : nil, backend: question.backend)
    }
}
