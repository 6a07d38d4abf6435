import PetrelSupport

/// The decision whether a person may run a line, and its reason.
public struct AccessDecision: Sendable, Hashable {
    /// The part of the rule, or of the command, that made the decision.
    public enum Ground: Sendable, Hashable {
        /// No rules are configured.
        case open
        /// All applicable conditions are met.
        case passed
        /// The rule does not allow the person.
        case user
        /// The rule does not allow the room.
        case room
        /// The rule does not allow direct chats.
        case direct
        /// The rule does not allow rooms.
        case group
        /// The rule uses names, and the name of the person or the room is not available.
        case unnamed
        /// The rule does not allow the arguments.
        case arguments
        /// The command is for administrators.
        case admin
        /// The command is for direct chats.
        case directOnly
        /// The line is expanded only when it runs, so that rules cannot evaluate it.
        case unforeseeable
        /// The command requires an identity that is bound to one account.
        case identity
        /// The command itself does not allow the caller.
        case command(CommandObjection)
    }

    /// A rule that matched a line.
    public struct Rule: Sendable, Hashable {
        /// The index of the rule in `access_controls`.
        public var index: Int
        /// The pattern of the rule, as configured.
        public var command: String

        /// Creates a rule.
        public init(index: Int, command: String) {
            self.index = index
            self.command = command
        }
    }

    /// True if the line may run.
    public var isAllowed: Bool
    /// The rule that matched the line; nil if none did.
    public var rule: Rule?
    /// The part of the rule, or of the command, that made the decision.
    public var ground: Ground
    /// The name of the person or the room that the ground refers to, such as `@carol` or `#random`; may be empty.
    public var subject: String
    /// True if the decision is about the line as the command parses it, not as it was typed.
    public var isAboutReading = false

    /// Creates a decision.
    public init(isAllowed: Bool, rule: Rule?, ground: Ground, subject: String = "") {
        self.isAllowed = isAllowed
        self.rule = rule
        self.ground = ground
        self.subject = subject
    }
}

extension AccessDecision {
    /// The reason as a clause, without a full stop. It is formatted on demand, because most reasons are never read.
    public var reason: String {
        isAboutReading && ground != .unforeseeable
            ? "\(ownReason), evaluated as the command parses this line" : ownReason
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
            return "the {{ … }} in this line is expanded only when it runs, so access rules cannot evaluate the result"
        case .admin: return "only administrators may run this command"
        case .directOnly: return "this command works only in a direct chat; send it to the bot there"
        case .command(let objection): return objection.reason
        case .identity: return "this command requires an identity that is bound to one account, and \(subject) is not"
        }
    }

    /// The reply to the person whose line was denied.
    public var reply: String {
        switch ground {
        case .admin, .directOnly, .identity: reason.prefix(1).uppercased() + reason.dropFirst() + "."
        default: "You may not run this: \(reason)."
        }
    }
}
