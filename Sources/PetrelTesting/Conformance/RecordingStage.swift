public import PetrelKit
import PetrelSupport

/// A stage with a ``RecordingBackend``, and the shortest example of a stage.
public final class RecordingStage: ConformanceStage {
    /// The abilities: all that need no connection.
    public let abilities: Set<ConformanceAbility> = [
        .rooms, .direct, .people, .threads, .privateReplies, .edits, .stableIdentities, .refusingForGood,
        .refusingForNow, .restarting,
    ]
    /// Rooms with arbitrary names.
    public let rooms = ["#ops", "#dev", "#sec"]
    /// People with arbitrary names.
    public let people = ["@alice", "@bob"]
    private let recording: RecordingBackend
    private let refusal: Locked<SendFailure.Remedy?>
    /// The person who sent a message, by its identifier.
    private let senders = Locked<[String: String]>([:])

    /// Creates a stage.
    public init() {
        let refusal = Locked<SendFailure.Remedy?>(nil)
        self.refusal = refusal
        recording = RecordingBackend(
            traits: BackendTraits(threads: true, privateReplies: true, edits: true),
            obstacle: { _, _ in
                let remedy = refusal.withLock { refusal in
                    defer { refusal = nil }
                    return refusal
                }
                if let remedy { throw SendFailure("the stage refuses the message", remedy) }
            }, onTimeout: { _ in })
    }

    /// The recording backend.
    public var backend: any ChatBackend { recording }

    /// Returns at once: messages wait until the backend runs.
    public func untilConnected() async throws {}

    /// Types a message.
    public func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String {
        // The sender must be known before the message is answered.
        senders.withLock { senders in
            let id = recording.type(text, as: person, in: room, thread: thread)
            senders[id] = person
            return id
        }
    }

    /// Returns the next recorded reply.
    public func next(within limit: Duration) async throws -> ConformanceShown? {
        guard let sent = await recording.next(within: limit) else { return nil }
        let isPrivate = !sent.address.place.isDirect && (sent.reply.isPrivate || sent.reply.isConfidential)
        let asker = sent.address.inReplyTo.flatMap { id in senders.withLock { $0[id] } }
        return ConformanceShown(
            sent.reply.text, at: sent.address.place, thread: sent.address.thread,
            reader: isPrivate ? asker ?? "unknown" : nil, isReplacement: sent.isReplacement)
    }

    /// Rejects the next reply.
    public func refuseNext(_ remedy: SendFailure.Remedy) async throws { refusal.withLock { $0 = remedy } }
}
