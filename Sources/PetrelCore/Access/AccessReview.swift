package import PetrelKit

/// A search for probable errors in access rules. They are reported as warnings, which do not prevent the start.
package struct AccessReview {
    /// A command that exists from the start.
    package struct KnownCommand: Sendable, Hashable {
        /// The name of the module.
        package var module: String
        /// The name of the command.
        package var name: String

        /// Creates a command.
        package init(module: String, name: String) {
            self.module = module
            self.name = name
        }
    }

    /// The access rules, as configured.
    package var settings: AccessSettings
    /// The commands that exist from the start.
    package var commands: [KnownCommand]
    /// The backends on which a person can take the former name of another person.
    package var changeable: [String]
    /// The names of all backends.
    package var backends: [String]
    /// The prefix of commands.
    package var prefix: String
    /// The formats of names, by backend.
    package var names: [String: NameForms]

    /// Creates a review.
    package init(
        settings: AccessSettings, commands: [KnownCommand], changeable: [String] = [], backends: [String] = [],
        prefix: String, names: [String: NameForms] = [:]
    ) {
        self.names = names
        self.backends = backends
        self.settings = settings
        self.commands = commands
        self.changeable = changeable
        self.prefix = prefix
    }

    /// Returns the warnings.
    package func warnings() -> [SettingsProblem] {
        let modules = Set(commands.map(\.module))
        let rules = settings.control(modules: modules).rules
        var found: [SettingsProblem] = []
        for (position, rule) in rules.enumerated() {
            let own = settings.rules[position].limits
            let path = "access_controls[\(rule.index)]"
            if let reason = neverMatches(rule, modules) {
                found.append(SettingsProblem(path: "\(path).command", message: reason))
            } else if let earlier = rules[..<position].first(where: { $0.hides(rule) }) {
                found.append(
                    SettingsProblem(
                        path: "\(path).command",
                        message: "is never reached: access_controls[\(earlier.index)] (“\(earlier.command)”) matches "
                            + "everything that it matches, and the first rule decides"))
            }
            if rule.limits.multiUserChats == false, rule.limits.directChats == false {
                found.append(
                    SettingsProblem(path: path, message: "allows neither rooms nor direct chats, so it allows no one"))
            }
            if rule.command.contains(where: { $0 == "\"" || $0 == "'" }) {
                found.append(SettingsProblem(path: "\(path).command", message: Self.aboutQuotes))
            }
            found += review(own, at: path)
        }
        found += review(settings.usual, at: "access_controls_default")
        for (index, admin) in settings.admins.enumerated() {
            if let problem = changeableName(admin, .person, at: "admins[\(index)]") { found.append(problem) }
            guard backends.count > 1, !backends.contains(where: { admin.hasPrefix($0 + "/") }) else { continue }
            found.append(
                SettingsProblem(
                    path: "admins[\(index)]",
                    message:
                        "“\(admin)” applies to every backend; write “\(backends[0])/\(admin)” to restrict it to one"))
        }
        found += reviewNames()
        return found
    }

    private static let aboutQuotes =
        "contains quotes, which a command may remove before it runs the line: the line without them must be allowed as well"

    private func review(_ limits: AccessLimits, at path: String) -> [SettingsProblem] {
        var found: [SettingsProblem] = []
        for (key, list) in [("allowusers", limits.users.allow), ("denyusers", limits.users.deny)] {
            for pattern in list?.patterns ?? [] {
                if let problem = changeableName(pattern, .person, at: "\(path).\(key)") { found.append(problem) }
                if pattern.hasPrefix("#") {
                    found.append(SettingsProblem(path: "\(path).\(key)", message: "“\(pattern)” is the name of a room"))
                }
            }
        }
        for (key, list) in [("allowargs", limits.arguments.allow), ("denyargs", limits.arguments.deny)] {
            for glob in list?.all ?? [] {
                guard let reason = neverMatches(glob, commands) else { continue }
                found.append(SettingsProblem(path: "\(path).\(key)", message: "“\(glob.pattern)” \(reason)"))
            }
        }
        for pattern in limits.arguments.allow?.patterns ?? [] where pattern.contains(where: { $0 == "\"" || $0 == "'" })
        {
            found.append(SettingsProblem(path: "\(path).allowargs", message: "“\(pattern)” \(Self.aboutQuotes)"))
        }
        for (key, list) in [("allowrooms", limits.rooms.allow), ("denyrooms", limits.rooms.deny)] {
            for pattern in list?.patterns ?? [] {
                if let problem = changeableName(pattern, .room, at: "\(path).\(key)") { found.append(problem) }
                guard pattern.hasPrefix("@"), !Glob(pattern).matches(GlobText("@" + settings.botName)) else { continue }
                found.append(
                    SettingsProblem(
                        path: "\(path).\(key)",
                        message: "“\(pattern)” is not a room: a direct chat is “@\(settings.botName)”, after bot.name"))
            }
        }
        return found
    }

    private func changeableName(
        _ pattern: String, _ kind: AccessMention.Kind, at path: String
    ) -> SettingsProblem? {
        let isBot = Glob(pattern).matches(GlobText("@" + settings.botName))
        // Where a name is the ID as well, such as `#ops` on IRC, no other ID could be used instead.
        let changeable = changeable.filter { names[$0]?.isID(pattern, kind) != true }
        guard !changeable.isEmpty, !isBot, let sigil = pattern.first, "@#".contains(sigil) else { return nil }
        let places = changeable.sorted().joined(separator: ", ")
        guard settings.matchesNames else {
            return SettingsProblem(
                path: path,
                message: "“\(pattern)” is a name, and bot.match_names is false: on \(places) it matches no user")
        }
        return SettingsProblem(
            path: path,
            message: "“\(pattern)” is a name, and on \(places) another person can take a name: use the ID that "
                + "\(prefix)whoami shows, and set bot.match_names to false")
    }

    /// Returns the reason why a rule cannot match any line; nil if it can match one.
    private func neverMatches(_ rule: AccessRule, _ modules: Set<String>) -> String? {
        guard let reason = neverMatches(rule.glob, commands.filter { isFor(rule, $0) }) else { return nil }
        let pattern = rule.glob.pattern
        let colon = pattern.firstIndex(of: ":")
        if rule.module == nil, let colon, !pattern[..<colon].contains(" ") {
            return "can never match: there is no module “\(pattern[..<colon])”; the modules are "
                + modules.sorted().joined(separator: ", ")
        }
        return rule.glob.oddity == nil ? reason : "“\(pattern)” \(reason)"
    }

    private func neverMatches(_ glob: Glob, _ commands: [KnownCommand]) -> String? {
        if let oddity = glob.oddity { return oddity }
        let pattern = glob.pattern
        if pattern != CommandText.line(of: CommandText.plain(pattern)) {
            return "can never match: lines have single spaces, no spaces at the ends, and plain quotes"
        }
        if !prefix.isEmpty, pattern.hasPrefix(prefix) {
            return "can never match: rules are matched against the line without the prefix “\(prefix)”"
        }
        if commands.contains(where: { $0.name.isEmpty || glob.mayMatch(command: $0.name) }) { return nil }
        return "can never match: no command starts like this, and rules are matched against the whole line"
    }

    private func isFor(_ rule: AccessRule, _ command: KnownCommand) -> Bool {
        rule.module == nil || rule.module == command.module
    }
}

extension AccessRule {
    /// Returns true if the rule matches every line that a later rule matches.
    fileprivate func hides(_ other: AccessRule) -> Bool {
        (module == nil || module == other.module) && glob.covers(other.glob)
    }
}

extension Glob {
    /// Returns true if a line of a command can match, with any arguments.
    fileprivate func mayMatch(command name: String) -> Bool {
        [name, Command.key(name)].contains { form in
            let line = GlobText(form, ignoringCase: true).scalars
            let start = Array(beginning)
            if start.count <= line.count {
                return line.starts(with: start) && (!isLiteral || start.count == line.count)
            }
            return start.starts(with: line + [Unicode.Scalar(" ").value])
        }
    }
}
