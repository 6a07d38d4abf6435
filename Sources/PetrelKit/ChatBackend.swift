/// A chat service. One instance is one section under `backends` in the configuration.
///
/// A backend knows no module: it turns what people write into ``ChatMessage`` values and sends ``Reply`` values.
/// Abilities that not every service has are protocols of their own: ``PlaceNaming``, ``CompletionObserving``.
public protocol ChatBackend: Sendable {
    /// The name of this instance, and of its section in the configuration.
    var name: String { get }
    var traits: BackendTraits { get }

    /// Connects and hands over messages until cancelled.
    ///
    /// Awaiting `deliver` is the back-pressure. Throwing asks the host to connect again after a pause that grows with
    /// jitter; throwing ``BackendFailure`` with `isFinal` asks it not to. Returning means that there is nothing more
    /// to read, ever.
    func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws

    /// Sends one reply, no longer than ``BackendTraits/maximumLength``. Called for one place after the other has
    /// returned, so that order is kept. Throws ``SendFailure`` where the backend knows whether trying again helps.
    func send(_ reply: Reply, to address: Address) async throws -> MessageReference?

    /// As it is said here, where that is another text: before it is split, or becomes a file. What a reply holds for this
    /// service alone may say so.
    func shaped(_ reply: Reply) -> Reply
}

extension ChatBackend {
    public func shaped(_ reply: Reply) -> Reply { reply }
}

/// What a backend can show.
public struct BackendTraits: Sendable, Hashable {
    public var markdown: Bool
    /// Slack's own markup is shown; see ``Reply/Style``.
    public var mrkdwn: Bool
    public var threads: Bool
    /// Replies in a room that only one person sees, or a direct chat that the bot may open.
    public var privateReplies: Bool
    /// What was said can be replaced; see ``Editing``.
    public var edits: Bool
    public var attachments: Bool
    /// Buttons below a reply, and forms behind them.
    public var forms: Bool
    /// Long texts can be sent as files; see ``FileSending``.
    public var files: Bool
    /// The service slows down who says much: texts that had to wait may come as one.
    public var mergesBursts: Bool
    /// The longest text of one message, in characters.
    public var maximumLength: Int

    public init(
        markdown: Bool = false, mrkdwn: Bool = false, threads: Bool = false, privateReplies: Bool = false,
        edits: Bool = false,
        attachments: Bool = false, forms: Bool = false, files: Bool = false, mergesBursts: Bool = false,
        maximumLength: Int = 10_000
    ) {
        self.markdown = markdown
        self.mrkdwn = mrkdwn
        self.threads = threads
        self.privateReplies = privateReplies
        self.edits = edits
        self.attachments = attachments
        self.forms = forms
        self.files = files
        self.mergesBursts = mergesBursts
        self.maximumLength = maximumLength
    }
}

/// Why a backend gave up.
public struct BackendFailure: Error, CustomStringConvertible {
    public var message: String
    /// Connecting again cannot help: a wrong password, a revoked token.
    public var isFinal: Bool

    public init(_ message: String, isFinal: Bool = false) {
        self.message = message
        self.isFinal = isFinal
    }

    public var description: String { message }
}

/// Why a backend did not take one reply. Any other error is as good as `.later(after: nil)`.
public struct SendFailure: Error, CustomStringConvertible {
    public enum Remedy: Sendable, Equatable {
        /// Trying again may help: after this time where the service says so, else after a pause that grows.
        case later(after: Duration?)
        /// It cannot help: no such room, or the bot is kept out of it.
        case never
    }

    public var message: String
    public var remedy: Remedy

    public init(_ message: String, _ remedy: Remedy) {
        self.message = message
        self.remedy = remedy
    }

    public var description: String { message }
}

/// A backend that can send a long text as a file.
public protocol FileSending: ChatBackend {
    /// - Parameter reply: its text is the content of the file.
    func send(file name: String, _ reply: Reply, to address: Address) async throws -> MessageReference?
}

/// A backend that can show something else in the place of what it has said.
public protocol Editing: ChatBackend {
    /// Returns at once. Of several the newest is shown in the end; where it cannot be shown, what was said stays.
    /// - Parameter handle: the ``Reply/handle`` of what was said, or is on its way.
    func replace(_ handle: String, with reply: Reply)
}

/// A backend that keeps records of its own, such as what it has seen.
public protocol RecordKeeping: ChatBackend {
    /// Called once, before it runs.
    func keep(in storage: any Storage)
}

/// A backend that has to ask for names, and does that only for what is meant for the bot.
public protocol Selecting: ChatBackend {
    /// Called once, before it runs.
    /// - Parameter isMeant: whether a message, whose names are not known yet, is one.
    func select(_ isMeant: @escaping @Sendable (ChatMessage) -> Bool)
}

/// What a backend makes of a bare name, such as `#ops`, `C42` or `ops@conference.example.com`.
public enum PlaceClaim: Sendable, Hashable {
    /// Only this backend has names of that form, or it knows the place.
    case own(Address.Place)
    /// It may be a place of this backend.
    case possible(Address.Place)
    /// It is none of this backend's.
    case foreign
}

/// A backend that can tell its own names from those of others, and a room's from a person's. Without it every name is
/// possible: `@…` is a person and all else a room.
public protocol PlaceNaming: ChatBackend {
    func claim(_ name: String) -> PlaceClaim
}

/// A backend that wants to know when all that a message asked for has been said.
public protocol CompletionObserving: ChatBackend {
    /// The command of this message has ended and its replies were sent.
    func completed(_ messageID: String)
    /// A result is still to come, under this request id.
    func promised(_ request: String)
    /// The result under this request id was sent, perhaps before it was promised.
    func settled(_ request: String)
}

/// A backend whose screen log lines would spoil, so that it writes them itself.
public protocol LogWriting: ChatBackend {
    /// Writes one line of the log; nil where the log goes its own way.
    var logWriter: (@Sendable (String) -> Void)? { get }
}

/// A backend where people can complete what they type.
public protocol Completing: ChatBackend {
    /// - Parameters:
    ///   - lines: every line that may be typed, without the prefix, at this moment.
    ///   - isSecret: whether a line as it was typed holds what must not stay in a history.
    func complete(
        from lines: @escaping @Sendable () -> [String], prefix: String,
        isSecret: @escaping @Sendable (String) -> Bool)
}
