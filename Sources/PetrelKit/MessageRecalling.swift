/// A message that was sent, in a form that a module can store.
public struct SentMessage: Hashable, Sendable, Codable {
    /// The reference that the backend has returned.
    public var message: MessageReference
    /// The destination.
    public var address: Address

    /// Creates the description of a message.
    public init(_ message: MessageReference, at address: Address) {
        self.message = message
        self.address = address
    }
}

/// Replaces messages also after a restart of the bot. ``ModuleHost/chat`` of the bot conforms to it.
///
/// A module stores the ``SentMessage`` of a message, and gives it back when it is created again:
///
/// ```swift
/// chat.remember("build 7", on: backend) { records.put(encoded($0), for: "build 7") }
/// try chat.say(Reply("Building"), at: address, DeliveryMarks(handle: "build 7"))
/// // After a restart:
/// chat.recall(message, as: "build 7")
/// chat.replace("build 7", with: Reply("The build was interrupted"), on: backend) { records.put(nil, for: "build 7") }
/// ```
public protocol MessageRecalling: Speaking {
    /// Calls a closure once the message with a handle was sent, unless the backend cannot replace it. Call this before
    /// the message is sent.
    func remember(_ handle: String, on backend: String, _ store: @escaping @Sendable (SentMessage) -> Void)
    /// Makes a message of an earlier run replaceable by a handle.
    func recall(_ message: SentMessage, as handle: String)
    /// Replaces a message as ``Speaking/replace(_:with:on:)`` does, and calls a closure once nothing is left to do:
    /// the message shows the reply, or can never show it. The closure is not called if the service could not be
    /// reached, or if another replacement followed.
    func replace(
        _ handle: String, with reply: Reply, on backend: String, settled: @escaping @Sendable () -> Void)
}
