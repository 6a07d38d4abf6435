/// A chat service. One instance is one section under `backends` in the configuration.
///
/// A backend is independent of modules: it converts messages into ``ChatMessage`` values and sends ``Reply`` values.
/// Optional capabilities are separate protocols, such as ``PlaceNaming`` and ``CompletionObserving``.
public protocol ChatBackend: Sendable {
    /// The name of this instance, and of its section in the configuration.
    var name: String { get }
    /// The capabilities and limits of the service.
    var traits: BackendTraits { get }

    /// Connects, and passes messages to `deliver` until cancelled.
    ///
    /// `deliver` returns as soon as the message is queued. It applies back-pressure: while 10,000 messages of the
    /// backend wait for their commands to run, it suspends, and the backend should not read further messages.
    ///
    /// If the method throws, the host calls it again after a growing delay with jitter; after ``BackendFailure`` with
    /// `isFinal` it does not. If it returns, the backend has reached the end of its input.
    func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws

    /// Sends one reply, whose text is at most ``BackendTraits/maximumLength`` long.
    ///
    /// The host awaits each call before the next one for the same place, so that messages keep their order, and sets no
    /// time limit. Throws ``SendFailure`` if the backend knows whether a retry can succeed.
    /// - Returns: A reference by which the message can be replaced; nil if it cannot.
    func send(_ reply: Reply, to address: Address) async throws -> MessageReference?

    /// Returns the reply as this service shows it, before the text is split or sent as a file. The default returns the
    /// reply unchanged.
    func shaped(_ reply: Reply) -> Reply
}

extension ChatBackend {
    /// Returns the reply unchanged.
    public func shaped(_ reply: Reply) -> Reply { reply }
}

/// The capabilities and limits of a chat service.
public struct BackendTraits: Sendable, Hashable {
    /// True if the service renders CommonMark.
    public var markdown: Bool
    /// True if the service renders Slack's markup; see ``Reply/Style``.
    public var mrkdwn: Bool
    /// True if the service has threads.
    public var threads: Bool
    /// True if the backend can send a reply in a room that only one person sees, or open a direct chat for it. Otherwise
    /// the host sends private replies to the room like any other, and confidential ones not at all.
    public var privateReplies: Bool
    /// True if the backend can replace a sent message; see ``Editing``.
    public var edits: Bool
    /// True if the service renders attachments, such as the colour and the image of a result.
    public var attachments: Bool
    /// True if the service shows buttons below a reply, and forms that buttons open.
    public var forms: Bool
    /// True if the backend can send long texts as files; see ``FileSending``.
    public var files: Bool
    /// True if the service limits the rate of messages, so that texts that had to wait may be sent as one message.
    public var mergesBursts: Bool
    /// The maximum length of the text of one message, in Unicode scalars.
    public var maximumLength: Int
    /// The maximum number of lines of an output that a reply shows, where each line is a message of its own; nil if the
    /// number of lines makes no difference.
    public var maximumLines: Int?

    /// Creates traits. By default the service has no optional capability.
    public init(
        markdown: Bool = false, mrkdwn: Bool = false, threads: Bool = false, privateReplies: Bool = false,
        edits: Bool = false,
        attachments: Bool = false, forms: Bool = false, files: Bool = false, mergesBursts: Bool = false,
        maximumLength: Int = 10_000, maximumLines: Int? = nil
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
        self.maximumLines = maximumLines
    }

    /// True if each line of a text is a message of its own, and the service limits their rate, so that long texts take
    /// long.
    public var sendsLines: Bool { maximumLines != nil }
}

/// The error of a connection that failed.
public struct BackendFailure: Error, CustomStringConvertible {
    /// The reason, for the log and `!status`.
    public var message: String
    /// True if reconnecting cannot succeed, for example because of a wrong password or a revoked token.
    public var isFinal: Bool

    /// Creates an error.
    public init(_ message: String, isFinal: Bool = false) {
        self.message = message
        self.isFinal = isFinal
    }

    /// The message.
    public var description: String { message }
}

/// The error of a reply that was not sent. Any other error is treated as `.later(after: nil)`.
public struct SendFailure: Error, CustomStringConvertible {
    /// The way to recover from a failure.
    public enum Remedy: Sendable, Equatable {
        /// A retry may succeed: after this time if the service requested one, otherwise after a growing delay.
        case later(after: Duration?)
        /// A retry cannot succeed, for example because the room does not exist or the bot is banned from it.
        case never
    }

    /// The reason, for the log and for dead letters.
    public var message: String
    /// The way to recover from the failure.
    public var remedy: Remedy

    /// Creates an error.
    public init(_ message: String, _ remedy: Remedy) {
        self.message = message
        self.remedy = remedy
    }

    /// The message.
    public var description: String { message }
}

/// A backend that can send a long text as a file.
public protocol FileSending: ChatBackend {
    /// Sends the text of a reply as a file.
    /// - Parameters:
    ///   - name: the name of the file.
    ///   - reply: the reply whose text is the content of the file.
    func send(file name: String, _ reply: Reply, to address: Address) async throws -> MessageReference?
}

/// A backend that can replace messages that it has sent.
public protocol Editing: ChatBackend {
    /// Replaces the content of a message. The host does not replace one message twice at the same time.
    ///
    /// Throws ``SendFailure``; the message then remains unchanged.
    /// - Parameters:
    ///   - message: the result of ``ChatBackend/send(_:to:)``.
    ///   - address: the address that the message was sent to.
    func replace(_ message: MessageReference, at address: Address, with reply: Reply) async throws
}

/// A backend whose threads are not named by the identifiers of the messages that they begin with.
public protocol ThreadNaming: ChatBackend {
    /// Returns the identifier of the thread below a message; nil if a message, such as a slash command, cannot have one.
    /// - Parameter message: the identifier of a message that the backend has delivered.
    func thread(below message: String) -> String?
}

/// A backend that stores records of its own, such as the identifiers of received messages.
public protocol RecordKeeping: ChatBackend {
    /// Provides the storage. The host calls this once, before the backend runs.
    func keep(in storage: any Storage)
}

/// A backend that has to request names from the service, and does so only for messages to the bot.
public protocol Selecting: ChatBackend {
    /// Provides the filter. The host calls this once, before the backend runs.
    /// - Parameter isMeant: returns true if a message, whose names need not be set yet, is meant for the bot. It leaves in
    ///   the message what it has read; deliver the same value, with its names set, so that the text is read once.
    func select(_ isMeant: @escaping @Sendable (inout ChatMessage) -> Bool)
}

/// The interpretation of a bare name by a backend, such as `#ops`, `C42` or `ops@conference.example.com`.
public enum PlaceClaim: Sendable, Hashable {
    /// The name belongs to this backend: only this backend uses the format, or it knows the place.
    case own(Address.Place)
    /// The name may belong to this backend.
    case possible(Address.Place)
    /// The name does not belong to this backend.
    case foreign
}

/// A backend that can tell its names from those of other backends, and rooms from people.
///
/// For a backend that does not conform, every name is possible: `@…` is a person and any other name is a room, and the
/// whole name is the identifier of the place.
public protocol PlaceNaming: ChatBackend {
    /// Returns the interpretation of a bare name.
    func claim(_ name: String) -> PlaceClaim
}

/// A backend that is notified when a message has been processed completely.
public protocol CompletionObserving: ChatBackend {
    /// Called when the command of this message has ended and its replies were sent.
    func completed(_ messageID: String)
    /// Called when a result is expected under this request id.
    func promised(_ request: String)
    /// Called when the result under this request id was sent, which may be before ``promised(_:)``.
    func settled(_ request: String)
}

/// A backend that writes log lines itself, because they would corrupt its screen.
public protocol LogWriting: ChatBackend {
    /// Writes one line of the log; nil to use the default output.
    var logWriter: (@Sendable (String) -> Void)? { get }
}

/// A backend that completes command lines.
public protocol Completing: ChatBackend {
    /// Provides the completion.
    /// - Parameters:
    ///   - lines: returns the lines that can be typed now, without the prefix.
    ///   - prefix: the prefix of commands.
    ///   - isSecret: returns true if a typed line contains a secret that must not be stored in a history.
    func complete(
        from lines: @escaping @Sendable () -> [String], prefix: String,
        isSecret: @escaping @Sendable (String) -> Bool)
}
