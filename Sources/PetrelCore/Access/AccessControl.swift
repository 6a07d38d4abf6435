package import PetrelKit

/// Who may run what. A value: a decision is synchronous and knows the rule that made it.
package struct AccessControl: Sendable {
    /// What a line amounts to, as rules see it.
    package enum Reading: Sendable {
        case lines([String])
        case part([String])
        case unforeseeable
    }

    /// A line as rules see it, and what its command demands.
    package struct Question: Sendable {
        package var person: Person
        /// Nil in a direct chat.
        package var room: Room?
        package var backend: String
        package var module: String
        /// The normalised line; where the name of the command has a `_`, also with a space in its place.
        package var lines: [String]
        /// What the line amounts to besides. Asked for only where there are rules.
        package var readings: @Sendable () -> [Reading] = { [] }
        package var isAdminOnly = false
        package var isDirectOnly = false
        package var needsStableIdentity = false
        /// A line with placeholders, as help shows it: rules about arguments do not apply, nor is it parsed.
        package var isTemplate = false

        package init(person: Person, room: Room?, backend: String, module: String, lines: [String]) {
            self.person = person
            self.room = room
            self.backend = backend
            self.module = module
            self.lines = lines
        }
    }

    /// Ids, or names with `@`.
    package var admins: Set<String>
    /// Whether `@name` and `#name` count besides the ids.
    package var matchesNames: Bool
    /// What a direct chat counts as: `@` and the bot's name.
    package let directRoom: String
    package let rules: [AccessRule]
    package let usual: AccessLimits
    private let index: RuleIndex

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

    package func isAdmin(_ person: Person, on backend: String) -> Bool { isListed(person, on: backend, in: admins) }

    package func isListed(_ person: Person, on backend: String, in people: Set<String>) -> Bool {
        guard person.isStable, !people.isEmpty else { return false }
        let names = matchesNames ? [person.id, person.name] : [person.id]
        return names.contains { people.contains($0) || people.contains("\(backend)/\($0)") }
    }

    /// Every reading of a line is decided on its own, and one that is denied is enough.
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

    /// A name that cannot be had may be one that is denied.
    private func mayBeDenied(_ lists: AccessLists, isNamed: Bool) -> Bool {
        !isNamed && matchesNames && lists.deny?.goesByNames == true
    }

    private func subject(_ id: String, _ name: String, _ question: Question) -> AccessSubject {
        AccessSubject(id: id, name: matchesNames && name != id ? name : nil, backend: question.backend)
    }
}
