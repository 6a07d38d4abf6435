package import PetrelKit
import PetrelSupport

/// The settings `admins`, `groups`, `access_controls` and `access_controls_default`.
package struct AccessSettings: Sendable {
    /// An entry of `access_controls`.
    package struct Rule: Sendable {
        /// The index in the list.
        package var index: Int
        /// The value of `command`.
        package var command: String
        /// The limits of the rule, without those of `access_controls_default`.
        package var limits: AccessLimits
    }

    /// The administrators.
    package var admins: [String] = []
    /// True if names are matched besides ids.
    package var matchesNames = true
    /// The name of the bot.
    package var botName = "petrel"
    /// The rules.
    package var rules: [Rule] = []
    /// The limits of `access_controls_default`.
    package var usual = AccessLimits()
    /// The people and rooms that the lists name.
    package var mentions: [AccessMention] = []

    /// Creates settings without rules.
    package init() {}

    /// Reads the settings from the root of a configuration.
    package init(_ root: SettingsSection, bot: SettingsSection, botName: String) {
        let groups = AccessGroups(root)
        self.botName = botName
        matchesNames = bot.bool("match_names", default: true)
        admins = groups.list("admins", in: root, of: .person) ?? []
        for (index, admin) in admins.enumerated() where !Glob(admin).isLiteral {
            root.warn("admins[\(index)]", "“\(admin)” is taken literally: entries of admins are not patterns")
        }
        rules = root.list(
            "access_controls", of: "rules, such as {\"command\": \"deploy*\", \"allowusers\": [\"@alice\"]}"
        )
        .compactMap { index, section in
            let rule = Rule(section, index, groups)
            section.finish()
            return rule
        }
        root.refuseNull("access_controls_default")
        if let section = root.optionalSection("access_controls_default") {
            usual = AccessLimits(section, groups)
            section.finish()
        }
        mentions = groups.mentions
        root.define(groups: groups.members, admins: admins)
    }

    /// Returns the access rules.
    /// - Parameter modules: the names of the loaded modules, which a `command` may name before a colon.
    package func control(modules: Set<String> = []) -> AccessControl {
        AccessControl(
            admins: Set(admins), matchesNames: matchesNames, botName: botName,
            rules: rules.map {
                AccessRule(index: $0.index, command: $0.command, modules: modules, limits: $0.limits, usual: usual)
            }, usual: usual)
    }
}

extension AccessSettings.Rule {
    fileprivate init?(_ section: SettingsSection, _ index: Int, _ groups: AccessGroups) {
        self.index = index
        command = section.requiredString("command")
        limits = AccessLimits(section, groups)
        if section.contains("command"), command.isEmpty { section.problem("command", "must not be empty") }
    }
}

extension AccessLimits {
    fileprivate init(_ section: SettingsSection, _ groups: AccessGroups) {
        func lists(_ what: String, _ kind: AccessMention.Kind?) -> AccessLists {
            AccessLists(
                allow: groups.list("allow\(what)", in: section, of: kind).map { GlobList($0) },
                deny: groups.list("deny\(what)", in: section, of: kind).map { GlobList($0) })
        }
        users = lists("users", .person)
        rooms = lists("rooms", .room)
        arguments = lists("args", nil)
        directChats = section.optionalBool("allowprivate")
        multiUserChats = section.optionalBool("allowmuc")
    }
}

/// The named lists in `groups`. In other lists, `group:NAME` stands for the members of a group.
final class AccessGroups {
    private static let mark = "group:"
    private(set) var members: [String: [String]] = [:]
    /// The lists of `groups` as configured, and their JSON path.
    private var raw: [String: [String]] = [:]
    private var place = "groups"
    private(set) var mentions: [AccessMention] = []
    private var known: Set<AccessMention> = []

    init(_ root: SettingsSection) {
        root.refuseNull("groups")
        guard let section = root.optionalSection("groups") else { return }
        for name in section.keys {
            section.refuseNull(name)
            raw[name] = section.strings(name)
        }
        for name in raw.keys.sorted() {
            if let circle = Self.circle(from: name, in: raw, path: []) {
                section.problem(name, "contains itself: \(circle.joined(separator: " → "))")
            }
            for (index, item) in raw[name, default: []].enumerated() {
                check(item, raw, "\(name)[\(index)]", section)
            }
        }
        // A cycle is reported as an error; it would make the expansion endless.
        let hasCircle = raw.keys.contains { Self.circle(from: $0, in: raw, path: []) != nil }
        members = hasCircle ? raw : raw.mapValues { Self.expand($0, raw) }
    }

    /// Returns a list of strings with its groups expanded; nil if the key is absent.
    /// - Parameter kind: the kind of names in the list; nil if it does not contain names.
    func list(_ key: String, in section: SettingsSection, of kind: AccessMention.Kind? = nil) -> [String]? {
        section.refuseNull(key)
        guard section.contains(key) else { return nil }
        let items = section.strings(key)
        for (index, item) in items.enumerated() { check(item, members, "\(key)[\(index)]", section) }
        if let kind { note(items, kind, at: section.place(of: key)) }
        return items.flatMap { item in Self.name(in: item).map { members[$0, default: []] } ?? [item] }
    }

    /// Records the names in a list. Those of a group are recorded with the path in the group.
    private func note(_ items: [String], _ kind: AccessMention.Kind, at place: String, passing: Set<String> = []) {
        for (index, item) in items.enumerated() {
            if let group = Self.name(in: item) {
                guard !passing.contains(group) else { continue }
                note(raw[group, default: []], kind, at: "\(self.place).\(group)", passing: passing.union([group]))
            } else {
                let mention = AccessMention(item, kind, at: "\(place)[\(index)]")
                if known.insert(mention).inserted { mentions.append(mention) }
            }
        }
    }

    private func check(_ item: String, _ groups: [String: [String]], _ key: String, _ section: SettingsSection) {
        if item.isEmpty { section.problem(key, "must not be empty") }
        guard let name = Self.name(in: item) else {
            if let oddity = Glob(item).oddity, !item.isEmpty { section.warn(key, "“\(item)” \(oddity)") }
            return
        }
        if groups[name] == nil {
            let near = Nearness.nearest(to: name, among: groups.keys.sorted(), limit: 1).first
            section.problem(key, "there is no group \"\(name)\"" + (near.map { "; did you mean \"\($0)\"?" } ?? ""))
        }
    }

    private static func name(in item: String) -> String? {
        item.hasPrefix(mark) ? String(item.dropFirst(mark.count)) : nil
    }

    private static func expand(_ items: [String], _ groups: [String: [String]]) -> [String] {
        items.flatMap { item in name(in: item).map { expand(groups[$0, default: []], groups) } ?? [item] }
    }

    private static func circle(from name: String, in groups: [String: [String]], path: [String]) -> [String]? {
        if path.contains(name) { return path + [name] }
        return groups[name, default: []].lazy.compactMap { Self.name(in: $0) }
            .compactMap { circle(from: $0, in: groups, path: path + [name]) }.first
    }
}
