import Logging
import PetrelKit
import PetrelSupport

/// Replaces sent messages. Their references are kept in memory.
///
/// Only the newest content for a message is sent, so updates do not accumulate, and sending does not wait for them.
final class Edits: Sendable {
    private struct Key: Hashable, Sendable {
        var backend: String
        var handle: String
    }

    private struct Update: Sendable {
        var message: MessageReference
        var address: Address
        var reply: Reply
    }

    private struct Entry: Sendable {
        var place: (message: MessageReference, address: Address)?
        var wanted: Reply?
        var shown: Reply?
        var isWorking = false
        /// True if the message was not sent, or cannot be replaced.
        var isFixed = false
        /// Called with the outcome of the latest replacement.
        var ended: (@Sendable (Outcome) -> Void)?
        /// Called with the message once it was sent.
        var sent: (@Sendable (SentMessage) -> Void)?
    }

    /// The outcome of a replacement.
    enum Outcome: Sendable {
        /// The message shows the content.
        case shown
        /// The message can never show it.
        case impossible
        /// The service could not be reached.
        case failed
    }

    private static let attempts = 3
    /// The delay before a retry if the service does not specify one.
    private static let pause = Duration.seconds(2)

    private struct State: Sendable {
        var entries = Newest<Key, Entry>(1_000)

        mutating func change(_ key: Key, _ change: (inout Entry) -> Void) {
            var entry = entries[key] ?? Entry()
            change(&entry)
            entries[key] = entry
        }

        /// Returns the next update of a message; nil if none exists. The caller sends updates until it receives nil.
        mutating func next(_ key: Key, isWorking: Bool) -> Update? {
            guard var entry = entries[key], entry.isWorking == isWorking else { return nil }
            defer { entries[key] = entry }
            guard let place = entry.place, let wanted = entry.wanted, wanted != entry.shown else {
                entry.isWorking = false
                return nil
            }
            entry.isWorking = true
            entry.shown = wanted
            return Update(message: place.message, address: place.address, reply: wanted)
        }
    }

    private let pool: TaskPool
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let state = Locked(State())

    init(_ pool: TaskPool, _ clock: any Clock<Duration>, _ logger: Logger) {
        self.pool = pool
        self.clock = clock
        self.logger = logger
    }

    /// Stores the reference of a sent message, and sends an update that was requested earlier.
    func remember(_ handle: String, _ message: MessageReference, at address: Address, on backend: any Editing) {
        let key = Key(backend: backend.name, handle: handle)
        let sent = state.withLock { state in
            let sent = state.entries[key]?.sent
            state.change(key) { entry in
                entry.place = (message, address)
                entry.sent = nil
            }
            return sent
        }
        // Before the update, whose outcome may depend on it.
        sent?(SentMessage(message, at: address))
        work(on: key, backend)
    }

    /// Sets the closure that is called with the reference of a message once it is sent.
    func onSent(_ handle: String, on backend: String, _ call: @escaping @Sendable (SentMessage) -> Void) {
        state.withLock { $0.change(Key(backend: backend, handle: handle)) { $0.sent = call } }
    }

    /// Updates a message, or does so once its reference is known.
    /// - Parameter ended: a closure that is called with the outcome, unless another update follows.
    func replace(
        _ handle: String, with reply: Reply, on backend: any Editing, ended: (@Sendable (Outcome) -> Void)? = nil
    ) {
        let key = Key(backend: backend.name, handle: handle)
        let isFixed = state.withLock { state in
            state.change(key) { entry in
                entry.wanted = reply
                entry.ended = entry.isFixed ? nil : ended
            }
            return state.entries[key]?.isFixed == true
        }
        if isFixed { ended?(.impossible) } else { work(on: key, backend) }
    }

    /// Notes that a message was not sent, or that the service gave no reference to it, so that it cannot be replaced.
    func cannotReplace(_ handle: String, on backend: String) {
        let key = Key(backend: backend, handle: handle)
        let ended = state.withLock { state in
            let ended = state.entries[key]?.ended
            state.change(key) { entry in
                entry.isFixed = true
                entry.ended = nil
                entry.sent = nil
            }
            return ended
        }
        ended?(.impossible)
    }

    private func work(on key: Key, _ backend: any Editing) {
        guard let first = state.withLock({ $0.next(key, isWorking: false) }) else { return }
        pool.spawn {
            var update = first
            while true {
                let outcome = await self.send(update, backend)
                self.ended(update, of: key, outcome)
                guard let newer = self.state.withLock({ $0.next(key, isWorking: true) }) else { return }
                update = newer
            }
        }
    }

    /// Tells the outcome of an update, unless there is a newer one.
    private func ended(_ update: Update, of key: Key, _ outcome: Outcome) {
        let ended = state.withLock { state -> (@Sendable (Outcome) -> Void)? in
            guard state.entries[key]?.wanted == update.reply else { return nil }
            let ended = state.entries[key]?.ended
            state.change(key) { $0.ended = nil }
            return ended
        }
        ended?(outcome)
    }

    /// Sends one update. An update that the backend rejects is dropped, because the next one contains the whole message.
    private func send(_ update: Update, _ backend: any Editing) async -> Outcome {
        for attempt in 1...Self.attempts {
            do {
                try await backend.replace(update.message, at: update.address, with: update.reply)
                return .shown
            } catch is CancellationError {
                return .failed
            } catch {
                guard attempt < Self.attempts, let pause = Self.pause(after: error),
                    await pool.pause(for: pause, on: clock)
                else {
                    let place = Printable.name(update.address.place.id)
                    logger.notice("A message in \(place) on \(backend.name) was not updated: \(error)")
                    return (error as? SendFailure)?.remedy == .never ? .impossible : .failed
                }
            }
        }
        return .failed
    }

    /// Returns the pause before the next attempt; nil if another attempt cannot help.
    private static func pause(after error: any Error) -> Duration? {
        switch (error as? SendFailure)?.remedy {
        case .later(let pause): pause ?? Self.pause
        case .never: nil
        case nil: Self.pause
        }
    }
}
