import PetrelKit

/// An action that the session requests.
enum IRCAction: Sendable {
    /// Sends a message to the server at once.
    case send(IRCMessage)
    /// Passes a message from a person to the host.
    case deliver(ChatMessage)
    /// The login is complete.
    case opened
    /// The server has processed everything that was sent before this token.
    case pong(String)
    /// The server has relayed a message of the bot to this target.
    case echo(target: String)
    /// The server rejected a command to this target.
    case refused(target: String, code: String, reason: String)
    /// The account of the person with this nick.
    case account(nick: String, account: String)
    /// Calls ``IRCSession/fired(_:)`` after this time.
    case schedule(IRCTimer, Duration)
    /// Ends the connection.
    case fail(BackendFailure)
    /// Writes a line to the log.
    case note(String, isWarning: Bool)
}

/// A timer of the session.
enum IRCTimer: Hashable, Sendable {
    /// The time limit for the login.
    case registration
    /// The time limit for the answer of NickServ.
    case identification
    /// The next attempt to join a channel. A later attempt makes the timer void.
    case join(channel: String, attempt: Int)
    /// The next attempt to get the configured nick.
    case regain
}
