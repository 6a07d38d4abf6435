/// An entry of `access_controls`.
package struct AccessRule: Sendable {
    /// The index in the list.
    package var index: Int
    /// The value of `command`.
    package var command: String
    /// The module before the colon in `command`, if it is loaded; nil for all modules.
    package var module: String?
    /// The pattern, which is matched with the line without case.
    package var glob: Glob
    /// The limits of the rule, completed by those of `access_controls_default`.
    package var limits: AccessLimits

    /// Creates a rule.
    package init(
        index: Int, command: String, modules: Set<String>, limits: AccessLimits,
        usual: AccessLimits = AccessLimits()
    ) {
        self.index = index
        self.command = command
        let parts = command.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let isQualified = parts.count == 2 && modules.contains(parts[0])
        module = isQualified ? parts[0] : nil
        glob = Glob(isQualified ? parts[1] : command, ignoringCase: true)
        self.limits = limits.over(usual)
    }
}

/// The limits of a rule on people, places and arguments. A value that is nil is not limited.
package struct AccessLimits: Sendable {
    /// The lists `allowusers` and `denyusers`.
    package var users = AccessLists()
    /// The lists `allowrooms` and `denyrooms`.
    package var rooms = AccessLists()
    /// The lists `allowargs` and `denyargs`.
    package var arguments = AccessLists()
    /// The value of `allowprivate`.
    package var directChats: Bool?
    /// The value of `allowmuc`.
    package var multiUserChats: Bool?

    /// Creates limits that allow everything.
    package init() {}

    /// True if there are no limits.
    package var isEmpty: Bool {
        users.isEmpty && rooms.isEmpty && arguments.isEmpty && directChats == nil && multiUserChats == nil
    }

    var allowsDirect: Bool { directChats ?? true }
    var allowsRooms: Bool { multiUserChats ?? true }

    /// Returns the limits, completed by default limits.
    func over(_ usual: AccessLimits) -> AccessLimits {
        var merged = AccessLimits()
        merged.users = users.over(usual.users)
        merged.rooms = rooms.over(usual.rooms)
        merged.arguments = arguments.over(usual.arguments)
        merged.directChats = directChats ?? usual.directChats
        merged.multiUserChats = multiUserChats ?? usual.multiUserChats
        return merged
    }
}

/// An allow list and a deny list. An empty allow list allows nothing.
package struct AccessLists: Sendable {
    /// The allow list; nil to allow everything.
    package var allow: GlobList?
    /// The deny list; nil to deny nothing.
    package var deny: GlobList?

    /// Creates lists.
    package init(allow: GlobList? = nil, deny: GlobList? = nil) {
        self.allow = allow
        self.deny = deny
    }

    /// True if there are no lists.
    package var isEmpty: Bool { allow == nil && deny == nil }

    func over(_ usual: AccessLists) -> AccessLists {
        AccessLists(allow: allow ?? usual.allow, deny: deny ?? usual.deny)
    }

    /// Returns true if the lists allow a person or a room.
    func admits(_ subject: AccessSubject) -> Bool {
        if let allow, !allow.matches(subject) { return false }
        if let deny, deny.matches(subject) { return false }
        return true
    }

    /// Returns true if the lists allow a line.
    /// - Parameter lines: the variants of the line.
    func admits(_ lines: [String]) -> Bool {
        if let allow, !lines.contains(where: allow.matches) { return false }
        if let deny, lines.contains(where: deny.matches) { return false }
        return true
    }
}

/// The names by which a list can refer to a person or a room: the id and the name, each also with the backend before
/// it.
struct AccessSubject {
    var id: String
    /// The name; nil if names are not matched.
    var name: String?
    var backend: String
}

/// A list of case-sensitive patterns. Those without wildcards are looked up in a set.
package struct GlobList: Sendable {
    /// The patterns, as configured.
    package let patterns: [String]
    private let literals: Set<String>
    private let globs: [Glob]
    private let namesBackends: Bool

    /// Creates a list.
    package init(_ patterns: [String]) {
        self.patterns = patterns
        namesBackends = patterns.contains { $0.utf8.contains(UInt8(ascii: "/")) }
        let all = patterns.map { Glob($0) }
        literals = Set(all.filter(\.isLiteral).map(\.pattern))
        globs = all.filter { !$0.isLiteral }
    }

    /// True if a pattern may match a name with `@` or `#`.
    var goesByNames: Bool {
        patterns.contains { pattern in
            let scalars = pattern.unicodeScalars
            return scalars.first.map { "@#*?[".unicodeScalars.contains($0) } == true
                || zip(scalars, scalars.dropFirst()).contains { $0 == "/" && ($1 == "@" || $1 == "#") }
        }
    }

    /// The patterns.
    package var all: [Glob] { patterns.map { Glob($0) } }

    func matches(_ subject: AccessSubject) -> Bool {
        let names = [subject.id] + (subject.name.map { [$0] } ?? [])
        if names.contains(where: matches) { return true }
        return namesBackends && names.contains { matches("\(subject.backend)/\($0)") }
    }

    func matches(_ text: String) -> Bool {
        if literals.contains(text) { return true }
        if globs.isEmpty { return false }
        let text = GlobText(text)
        return globs.contains { $0.matches(text) }
    }
}

/// An index that finds the first rule for a line without trying each rule: a prefix tree of the literal beginnings of
/// the patterns.
struct RuleIndex: Sendable {
    private struct Node: Sendable {
        var children: [UInt32: Int] = [:]
        /// The rules of the node, in the order of the list.
        var rules: [Entry] = []
    }

    private struct Entry: Sendable {
        var index: Int
        var module: String?
        var glob: Glob
    }

    private var nodes = [Node()]

    init(_ rules: [AccessRule]) {
        for (index, rule) in rules.enumerated() {
            var node = 0
            for scalar in rule.glob.beginning {
                if let child = nodes[node].children[scalar] {
                    node = child
                } else {
                    nodes.append(Node())
                    nodes[node].children[scalar] = nodes.count - 1
                    node = nodes.count - 1
                }
            }
            nodes[node].rules.append(Entry(index: index, module: rule.module, glob: rule.glob))
        }
    }

    /// Returns the index of the first rule that matches a text, if it is less than `limit`.
    func first(matching text: GlobText, module: String, before limit: Int) -> Int? {
        var best = limit
        var node = 0
        var depth = 0
        while true {
            for entry in nodes[node].rules {
                if entry.index >= best { break }
                if let limited = entry.module, limited != module { continue }
                if entry.glob.matches(text) {
                    best = entry.index
                    break
                }
            }
            guard depth < text.scalars.count, let child = nodes[node].children[text.scalars[depth]] else { break }
            node = child
            depth += 1
        }
        return best == limit ? nil : best
    }
}
