/// One entry of `access_controls`.
package struct AccessRule: Sendable {
    /// Its place in the list.
    package var index: Int
    /// `command` as it was written.
    package var command: String
    /// Set where the part before a colon is a loaded module.
    package var module: String?
    /// Matched with the line, whatever its case.
    package var glob: Glob
    /// Its own limits over those of `access_controls_default`.
    package var limits: AccessLimits

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

/// Who, where and with which arguments. What is nil says nothing.
package struct AccessLimits: Sendable {
    package var users = AccessLists()
    package var rooms = AccessLists()
    package var arguments = AccessLists()
    /// `allowprivate`.
    package var directChats: Bool?
    /// `allowmuc`.
    package var multiUserChats: Bool?

    package init() {}

    package var isEmpty: Bool {
        users.isEmpty && rooms.isEmpty && arguments.isEmpty && directChats == nil && multiUserChats == nil
    }

    var allowsDirect: Bool { directChats ?? true }
    var allowsRooms: Bool { multiUserChats ?? true }

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

/// An allow list and a deny list. An empty allow list admits nobody.
package struct AccessLists: Sendable {
    package var allow: GlobList?
    package var deny: GlobList?

    package init(allow: GlobList? = nil, deny: GlobList? = nil) {
        self.allow = allow
        self.deny = deny
    }

    package var isEmpty: Bool { allow == nil && deny == nil }

    func over(_ usual: AccessLists) -> AccessLists {
        AccessLists(allow: allow ?? usual.allow, deny: deny ?? usual.deny)
    }

    func admits(_ subject: AccessSubject) -> Bool {
        if let allow, !allow.matches(subject) { return false }
        if let deny, deny.matches(subject) { return false }
        return true
    }

    /// - Parameter lines: ways to write the same line.
    func admits(_ lines: [String]) -> Bool {
        if let allow, !lines.contains(where: allow.matches) { return false }
        if let deny, lines.contains(where: deny.matches) { return false }
        return true
    }
}

/// A person or a room, by all that a list may call it: the id, the name, and either with the backend before it.
struct AccessSubject {
    var id: String
    /// Nil where names do not count.
    var name: String?
    var backend: String
}

/// Patterns, case-sensitive; those without a wildcard are looked up.
package struct GlobList: Sendable {
    package let patterns: [String]
    private let literals: Set<String>
    private let globs: [Glob]
    private let namesBackends: Bool

    package init(_ patterns: [String]) {
        self.patterns = patterns
        namesBackends = patterns.contains { $0.utf8.contains(UInt8(ascii: "/")) }
        let all = patterns.map { Glob($0) }
        literals = Set(all.filter(\.isLiteral).map(\.pattern))
        globs = all.filter { !$0.isLiteral }
    }

    /// Whether some of it may be about a name with `@` or `#`.
    var goesByNames: Bool {
        patterns.contains { pattern in
            let scalars = pattern.unicodeScalars
            return scalars.first.map { "@#*?[".unicodeScalars.contains($0) } == true
                || zip(scalars, scalars.dropFirst()).contains { $0 == "/" && ($1 == "@" || $1 == "#") }
        }
    }

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

/// Finds the first rule for a line without trying each: rules hang in a tree by the text that their patterns begin
/// with.
struct RuleIndex: Sendable {
    private struct Node: Sendable {
        var children: [UInt32: Int] = [:]
        /// In the order of the list.
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

    /// The first rule that matches, if it stands before `limit`.
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
