public import PetrelSupport

/// A message that the bot sends.
public struct Reply: Sendable, Hashable, Codable {
    /// The markup of a text.
    public enum Style: String, Sendable, Codable {
        /// Plain text. Only fenced blocks, web addresses and line breaks are recognised.
        case plain
        /// CommonMark. Escape text from people and services with ``Markdown/escaped(_:)`` or ``Markdown/code(_:)``. A
        /// backend without Markdown shows a readable form.
        case markdown
        /// Slack's markup. Other backends show a readable form.
        case mrkdwn
    }

    /// The purpose of a reply, for backends that show errors and results differently.
    public enum Kind: String, Sendable, Codable {
        /// The answer of a command.
        case answer
        /// The confirmation that a command was started.
        case acknowledgement
        /// The result of a command that was started earlier.
        case result
        /// An error.
        case error
    }

    /// The text, written in ``style``. If it is empty and there is no `extra`, nothing is shown.
    public var text: String
    /// The markup of the text.
    public var style: Style
    /// The purpose of the reply.
    public var kind: Kind
    /// True if only the person who asked should see the reply. In a room of a backend without
    /// ``BackendTraits/privateReplies``, everybody sees it.
    public var isPrivate: Bool
    /// True if the reply contains a secret, such as a login link. It is never stored, logged or shown as a preview, and
    /// not sent to a room in which the backend cannot show it to one person only.
    public var isConfidential: Bool
    /// Backend-specific data, by the kind of the backend, such as `{"slack": {…}}`.
    public var extra: [String: JSONValue]
    /// The buttons below the reply. Backends without buttons ignore them.
    public var buttons: [Button]
    /// The form that the reply offers; with an error, the form to correct. Backends without forms show only the text.
    public var form: Form?

    /// Creates a reply.
    public init(
        _ text: String, style: Style = .plain, kind: Kind = .answer, isPrivate: Bool = false,
        isConfidential: Bool = false,
        extra: [String: JSONValue] = [:], buttons: [Button] = [], form: Form? = nil
    ) {
        self.text = text
        self.style = style
        self.kind = kind
        self.isPrivate = isPrivate
        self.isConfidential = isConfidential
        self.extra = extra
        self.buttons = buttons
        self.form = form
    }
}

extension Reply {
    /// True if the reply shows something.
    public var isVisible: Bool { !text.isEmpty || !extra.isEmpty }
}

extension Reply {
    /// Returns the reply with a readable plain text, if the backend does not render its markup.
    public func readable(for traits: BackendTraits) -> Reply {
        var reply = self
        switch style {
        case .markdown where !traits.markdown: reply.text = Markdown.readable(text)
        case .mrkdwn where !traits.mrkdwn: reply.text = Mrkdwn.readable(text)
        default: return self
        }
        reply.style = .plain
        return reply
    }

    /// Appends a note to the text: on a line of its own if the text ends with a fence.
    public mutating func append(_ note: String) { text += (TextBlock.endsWithFence(text) ? "\n" : " ") + note }
}

/// A reference to a message that a backend has sent.
public struct MessageReference: Hashable, Sendable, Codable {
    /// The identifier of the message, in a form that the backend chooses; see ``Editing``.
    public var id: String

    /// Creates a reference.
    public init(id: String) {
        self.id = id
    }
}

/// An error with a reply for the person who ran the command. Any other error is logged under an id, and the reply
/// contains only the id.
public protocol ReplyError: Error {
    /// One or two sentences that state the problem and what to do about it.
    var reply: String { get }
    /// The form with the rejected values, so that the person can correct them; nil if no form was submitted.
    var form: Form? { get }
}

extension ReplyError {
    /// No form.
    public var form: Form? { nil }
}

/// A ``ReplyError`` that consists only of its text.
public struct Refusal: ReplyError, CustomStringConvertible {
    /// The text.
    public var reply: String

    /// Creates an error with a text.
    public init(_ reply: String) {
        self.reply = reply
    }

    /// The text.
    public var description: String { reply }
}
