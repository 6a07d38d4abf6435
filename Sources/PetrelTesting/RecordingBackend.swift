public import PetrelKit
import PetrelSupport

/// A backend for tests: messages go in by hand, replies are kept.
public final class RecordingBackend: ChatBackend, CompletionObserving, Editing {
    /// One reply, and where it went.
    public struct Sent: Sendable, Hashable {
        public var reply: Reply
        public var address: Address
    }

    /// What is done instead of taking a reply, such as throwing.
    public typealias Obstacle = @Sendable (Reply, Address) async throws -> Void

    /// The first so many sends fail, with the error of the closure.
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

    public let name: String
    public let traits: BackendTraits
    private let obstacle: Obstacle
    private let incoming: (stream: AsyncStream<ChatMessage>, continuation: AsyncStream<ChatMessage>.Continuation)
    private let outgoing: (stream: AsyncStream<Sent>, continuation: AsyncStream<Sent>.Continuation)
    private let ended: (stream: AsyncStream<String>, continuation: AsyncStream<String>.Continuation)
    private let count = Locked(0)

    public init(
        name: String = "test", traits: BackendTraits = BackendTraits(threads: true, privateReplies: true),
        obstacle: @escaping Obstacle = { _, _ in }
    ) {
        self.name = name
        self.traits = traits
        self.obstacle = obstacle
        incoming = AsyncStream.makeStream()
        outgoing = AsyncStream.makeStream()
        ended = AsyncStream.makeStream()
    }

    public func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        for await message in incoming.stream { await deliver(message) }
    }

    public func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        try await obstacle(reply, address)
        outgoing.continuation.yield(Sent(reply: reply, address: address))
        return nil
    }

    /// Comes as a reply with the handle, to nowhere.
    public func replace(_ handle: String, with reply: Reply) {
        var reply = reply
        reply.handle = handle
        if traits.edits {
            outgoing.continuation.yield(Sent(reply: reply, address: Address(backend: name, place: .room(""))))
        }
    }

    public func completed(_ messageID: String) { ended.continuation.yield(messageID) }

    public func promised(_ request: String) {}
    public func settled(_ request: String) {}

    /// Says something as a person, or sends a form; returns the id of the message.
    @discardableResult
    public func type(
        _ text: String, as person: String = "@alice", in room: String? = "#ops", thread: String? = nil,
        values: [String: String]? = nil
    ) -> String {
        let id = count.withLock { count in
            count += 1
            return "\(count)"
        }
        incoming.continuation.yield(
            ChatMessage(
                id: id, sender: Person(id: person, name: person), room: room.map { Room(id: $0, name: $0) },
                thread: thread, text: text, values: values))
        return id
    }

    /// The next reply. Waits for it, but not for ever: nil after ``patience``.
    public func next() async -> Sent? { await first(of: outgoing.stream) }

    /// The next message whose command has ended. Waits for it as ``next()`` does.
    public func nextCompleted() async -> String? { await first(of: ended.stream) }

    /// Long enough for a busy machine, and short enough that a reply that never comes is not the end of the run.
    public static let patience = Duration.seconds(60)

    private func first<Element: Sendable>(of stream: AsyncStream<Element>) async -> Element? {
        await withTaskGroup(of: Element?.self) { group in
            group.addTask {
                for await element in stream { return element }
                return nil
            }
            group.addTask {
                // Cancelled once the element is there.
                try? await Task.sleep(for: Self.patience)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    /// The end of the input.
    public func finish() { incoming.continuation.finish() }
}
