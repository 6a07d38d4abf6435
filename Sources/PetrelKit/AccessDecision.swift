import PetrelSupport

/// Whether somebody may run a line, and what decided it.
public struct AccessDecision: Sendable, Hashable {
    /// The part of the rule, or of the command itself, that decided.
    public enum Ground: Sendable, Hashable {
        /// No rule is configured at all.
        case open
        /// Nothing of what applies speaks against it.
        case passed
        case user, room, direct, group, unnamed, arguments
        /// The command is for administrators.
        case admin
        /// The command is for direct chats.
        case directOnly
        /// What the line amounts to shows only when it runs.
        case unforeseeable
        /// The command needs an identity that is bound to one account.
        case identity
    }

    /// A rule: its place in `access_controls`, and its `command`.
    public struct Rule: Sendable, Hashable {
        public var index: Int
        public var command: String

        public init(index: Int, command: String) {
            self.index = index
            self.command = command
        }
    }

    public var isAllowed: Bool
    /// The rule that matched the line; nil where none did.
    public var rule: Rule?
    public var ground: Ground
    /// Who or where the ground speaks of: `@carol`, `#random`.
    public var subject: String
    /// Not the line as it was typed decided, but what a parser makes of it.
    public var isAboutReading = false

    public init(isAllowed: Bool, rule: Rule?, ground: Ground, subject: String = "") {
        self.isAllowed = isAllowed
        self.rule = rule
        self.ground = ground
        self.subject = subject
    }
}

extension AccessDecision {
    /// One sentence. Made when it is asked for: most decisions are never read.
    public var reason: String {
        isAboutReading && ground != .unforeseeable
            ? "\(ownReason), judged by how the command parses this line" : ownReason
    }

    private var ownReason: String {
        let subject = Printable.name(subject)
        let source = rule.map { "access_controls[\($0.index)] (“\($0.command)”)" }
        let deciding = source ?? "no rule matches, and access_controls_default"
        switch ground {
        case .open: return "no access rules are configured, so everyone is allowed"
        case .passed: return source.map { "\($0) allows it" } ?? "no rule matches, and the default allows it"
        case .user: return "\(deciding) does not allow \(subject)"
        case .room: return "\(deciding) does not allow it in \(subject)"
        case .direct: return "\(deciding) does not allow it in a direct chat"
        case .group: return "\(deciding) does not allow it in rooms"
        case .unnamed:
            return
                "\(deciding) uses names, and the name of \(subject) is not available at the moment; please try again later"
        case .arguments: return "\(deciding) does not allow these arguments"
        case .unforeseeable:
            return "the {{ … }} in this line is evaluated only when it runs, so access rules cannot judge the result"
        case .admin: return "only administrators may run this command"
        case .directOnly: return "this command works only in a direct chat; send it to the bot there"
        case .identity: return "this command requires an identity that is bound to one account, and \(subject) is not"
        }
    }

    /// What the person who asked is told.
    public var reply: String {
        switch ground {
        case .admin, .directOnly, .identity: reason.prefix(1).uppercased() + reason.dropFirst() + "."
        default: "You may not run this: \(reason)."
        }
    }
}
