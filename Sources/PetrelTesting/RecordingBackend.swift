public import PetrelKit
import PetrelSupport

/// A backend for tests: the test sends messages with ``type(_:as:in:thread:values:)`` and reads replies with
/// ``next(within:at:line:)``.
public final class RecordingBackend: ChatBackend, CompletionObserving, Editing {
    /// A reply and its destination.
    public struct Sent: Sendable, Hashable {
        /// The reply.
        public var reply: Reply
        /// The destination.
        public var address: Address
        /// The message: a new one, or the one whose content the reply replaces.
        public var message: MessageReference
        /// True if the reply replaces the content of a message.
        public var isReplacement = false
    }

    /// A closure that is called before a reply is accepted. It may wait, or throw an error to reject the reply.
    public typealias Obstacle = @Sendable (Reply, Address) async throws -> Void

    /// Returns an obstacle that rejects a number of replies with the error of the closure.
    public static func failing(_ times: Int, with error: @Sendable @escaping () -> any Error) -> Obstacle {
        let left = Locked(times)
        return { _, _ in
            let fails = left.withLock { left in
                left -= 1
                return left >= 0
            }
            if fails { throw error() }
        }
    }

    /// The time for which a test waits for an expected event: long enough for a busy machine that stands still now and
    /// then, and short enough that a missing event does not block the test run.
    public static let patience = Duration.seconds(240)

    /// The name of the backend.
    public let name: String
    /// The traits of the backend.
    public let traits: BackendTraits
    private let obstacle: Obstacle
    private let onTimeout: @Sendable (String) -> Void
    private let incoming = Mailbox<ChatMessage>()
    private let outgoing: (stream: AsyncStream<Sent>, continuation: AsyncStream<Sent>.Continuation)
    private let ended: (stream: AsyncStream<String>, continuation: AsyncStream<String>.Continuation)
    private let settlements: (stream: AsyncStream<String>, continuation: AsyncStream<String>.Continuation)
    private let promises = Locked<[String]>([])
    private let sent = Locked(0)
    private let count = Locked(0)

    /// Creates a backend.
    /// - Parameters:
    ///   - obstacle: a closure that is called before each reply is accepted.
    ///   - onTimeout: a closure that is called with a message if an expected event is missing, for example to record an
    ///     issue of the test. By default the message is written to standard error.
    public init(
        name: String = "test", traits: BackendTraits = BackendTraits(threads: true, privateReplies: true),
        obstacle: @escaping Obstacle = { _, _ in },
        onTimeout: @escaping @Sendable (_ message: String) -> Void = { StandardStream.error.offer("\($0)\n") }
    ) {
        self.onTimeout = onTimeout
        self.name = name
        self.traits = traits
        self.obstacle = obstacle
        outgoing = AsyncStream.makeStream()
        ended = AsyncStream.makeStream()
        settlements = AsyncStream.makeStream()
    }

    /// Delivers the messages of the test. May be called again after it was cancelled.
    public func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        while let message = await incoming.next() { await deliver(message) }
    }

    /// Records a reply, unless the obstacle throws.
    public func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await obstacle(reply, address)
        let message = MessageReference(id: "m\(sent.withLock { $0 += 1; return $0 })")
        outgoing.continuation.yield(Sent(reply: reply, address: address, message: message))
        return traits.edits ? message : nil
    }

    /// Records the replacement of a message, unless the obstacle throws. Throws ``SendFailure`` if it was never sent.
    public func replace(_ message: MessageReference, at address: Address, with reply: Reply) async throws {
        guard let number = Int(message.id.dropFirst()), message.id == "m\(number)", 1...max(sent.value, 1) ~= number
        else {
            throw SendFailure("no message has the id \(message.id)", .never)
        }
        try await obstacle(reply, address)
        outgoing.continuation.yield(Sent(reply: reply, address: address, message: message, isReplacement: true))
    }

    /// Records that a message was processed.
    public func completed(_ messageID: String) { ended.continuation.yield(messageID) }

    /// Records that a result is expected.
    public func promised(_ request: String) { promises.withLock { $0.append(request) } }

    /// Records that a result was sent.
    public func settled(_ request: String) { settlements.continuation.yield(request) }

    /// The ids of the requests whose results were announced, in order.
    public var promised: [String] { promises.value }

    /// Sends a message as a person, or submits a form. Returns the id of the message.
    /// - Parameter isPrivate: true if only its members know of the room.
    @discardableResult
    public func type(
        _ text: String, as person: String = "@alice", in room: String? = "#ops", thread: String? = nil,
        values: [String: String]? = nil, isPrivate: Bool = false
    ) -> String {
        let id = count.withLock { count in
            count += 1
            return "\(count)"
        }
        incoming.put(
            ChatMessage(
                id: id, sender: Person(id: person, name: person),
                room: room.map { Room(id: $0, name: $0, isPrivate: isPrivate) },
                thread: thread, text: text, values: values))
        return id
    }

    /// Waits for the next reply.
    /// - Parameter limit: the time limit. Then the missing reply is reported to `onTimeout`, and the result is nil.
    public func next(
        within limit: Duration = patience, at file: StaticString = #fileID, line: UInt = #line
    ) async -> Sent? {
        await first(of: outgoing.stream, "reply", limit, "\(file):\(line)")
    }

    /// Waits until the next message was processed, and returns its id.
    /// - Parameter limit: the time limit. Then the missing event is reported to `onTimeout`, and the result is nil.
    public func nextCompleted(
        within limit: Duration = patience, at file: StaticString = #fileID, line: UInt = #line
    ) async -> String? {
        await first(of: ended.stream, "processed message", limit, "\(file):\(line)")
    }

    /// Waits until the next result was sent, and returns the id of its request.
    /// - Parameter limit: the time limit. Then the missing event is reported to `onTimeout`, and the result is nil.
    public func nextSettled(
        within limit: Duration = patience, at file: StaticString = #fileID, line: UInt = #line
    ) async -> String? {
        await first(of: settlements.stream, "result", limit, "\(file):\(line)")
    }

    private func first<Element: Sendable>(
        of stream: AsyncStream<Element>, _ event: String, _ limit: Duration, _ place: String
    ) async -> Element? {
        let isLate = Locked(false)
        let element: Element? = await withTaskGroup(of: Element?.self) { group in
            group.addTask {
                for await element in stream { return element }
                return nil
            }
            group.addTask {
                // The group cancels the sleep as soon as the element is there.
                if (try? await Task.sleep(for: limit)) != nil { isLate.withLock { $0 = true } }
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        if element == nil, isLate.value {
            onTimeout("\(place): the backend \(name) got no \(event) within \(limit), after \(count.value) messages.")
        }
        return element
    }

    /// Ends the input.
    public func finish() { incoming.finish() }
}
