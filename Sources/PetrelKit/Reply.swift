public import PetrelSupport

/// What the bot says.
public struct Reply: Sendable, Hashable, Codable {
    /// How the text is written.
    public enum Style: String, Sendable, Codable {
        /// Every character stands. Fenced blocks, addresses and line ends are recognised, nothing else.
        case plain
        /// CommonMark; text of others inside it goes through ``Markdown/escaped(_:)`` or ``Markdown/code(_:)``. A backend
        /// without Markdown shows it readably.
        case markdown
        /// Slack's own markup. Elsewhere it is made readable.
        case mrkdwn
    }

    /// What the reply is about, for backends that show an error otherwise than a result.
    public enum Kind: String, Sendable, Codable {
        case answer, acknowledgement, result, error
    }

    /// The text, written in ``style``. Empty without `extra`: nothing is shown, but the promise below still counts.
    public var text: String
    public var style: Style
    public var kind: Kind
    /// To be seen by the person who asked only, where the backend can do that.
    public var isPrivate: Bool
    /// Holds a secret, such as a login link: never kept, logged, or shown a preview of.
    public var isConfidential: Bool
    /// StackStorm's `extra`: backend-specific parts under the backend's kind.
    public var extra: [String: JSONValue]
    /// For backends that show them; elsewhere they are left out.
    public var buttons: [Button]
    /// For backends that show it; elsewhere only the text is said. With an error: what is to be corrected.
    public var form: Form?
    /// By which something else can be shown in its place; see ``Editing``.
    public var handle: String?
    /// A result is still to come, under this request id.
    public var promises: String?
    /// This is the result that was promised under this request id.
    public var settles: String?

    public init(
        _ text: String, style: Style = .plain, kind: Kind = .answer, isPrivate: Bool = false,
        isConfidential: Bool = false,
        extra: [String: JSONValue] = [:], buttons: [Button] = [], form: Form? = nil, handle: String? = nil,
        promises: String? = nil, settles: String? = nil
    ) {
        self.text = text
        self.style = style
        self.kind = kind
        self.isPrivate = isPrivate
        self.isConfidential = isConfidential
        self.extra = extra
        self.buttons = buttons
        self.form = form
        self.handle = handle
        self.promises = promises
        self.settles = settles
    }
}

extension Reply {
    /// There is something to show, or a promise that a backend may wait for.
    public var saysSomething: Bool { isVisible || promises != nil || settles != nil }

    /// There is something to show.
    public var isVisible: Bool { !text.isEmpty || !extra.isEmpty }
}

extension Reply {
    /// The same for a backend that does not show its notation: readable as it stands.
    package func readable(for traits: BackendTraits) -> Reply {
        var reply = self
        switch style {
        case .markdown where !traits.markdown: reply.text = Markdown.readable(text)
        case .mrkdwn where !traits.mrkdwn: reply.text = Mrkdwn.readable(text)
        default: return self
        }
        reply.style = .plain
        return reply
    }

    /// Adds a note to what was said: on a line of its own where a fence ends it.
    package mutating func append(_ note: String) { text += (TextBlock.endsWithFence(text) ? "\n" : " ") + note }
}

/// Names what a backend sent, so that it can be edited or reacted to.
public struct MessageReference: Hashable, Sendable, Codable {
    public var id: String

    public init(id: String) {
        self.id = id
    }
}

/// An error that knows what the person who asked should read. Any other error becomes a log line with an id and a
/// neutral reply that names the id.
public protocol ReplyError: Error {
    /// One plain sentence or two: what happened, and what to do.
    var reply: String { get }
    /// The form whose answers would not do, with what was answered, so that it can be corrected; nil where none was.
    var form: Form? { get }
}

extension ReplyError {
    public var form: Form? { nil }
}

/// The plain form of ``ReplyError``: just the sentence.
public struct Refusal: ReplyError, CustomStringConvertible {
    public var reply: String

    public init(_ reply: String) {
        self.reply = reply
    }

    public var description: String { reply }
}
