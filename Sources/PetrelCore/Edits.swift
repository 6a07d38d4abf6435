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
        /// Sends the wanted content in another way if the message cannot be replaced.
        var fallback: (@Sendable () -> Void)?
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
        state.withLock { $0.change(key) { $0.place = (message, address) } }
        work(on: key, backend)
    }

    /// Updates a message, or does so once its reference is known.
    /// - Parameter fallback: a closure that is called if the message cannot be updated.
    func replace(
        _ handle: String, with reply: Reply, on backend: any Editing, orElse fallback: (@Sendable () -> Void)? = nil
    ) {
        let key = Key(backend: backend.name, handle: handle)
        let isFixed = state.withLock { state in
            state.change(key) { entry in
                entry.wanted = reply
                entry.fallback = entry.isFixed ? nil : fallback
            }
            return state.entries[key]?.isFixed == true
        }
        if isFixed { fallback?() } else { work(on: key, backend) }
    }

    /// Notes that a message was not sent, or that the service gave no reference to it, so that it cannot be replaced.
    func cannotReplace(_ handle: String, on backend: String) {
        let key = Key(backend: backend, handle: handle)
        let fallback = state.withLock { state in
            let fallback = state.entries[key]?.fallback
            state.change(key) { entry in
                entry.isFixed = true
                entry.fallback = nil
            }
            return fallback
        }
        fallback?()
    }

    private func work(on key: Key, _ backend: any Editing) {
        guard let first = state.withLock({ $0.next(key, isWorking: false) }) else { return }
        pool.spawn {
            var update = first
            while true {
                let isShown = await self.send(update, backend)
                self.ended(update, of: key, isShown: isShown)
                guard let newer = self.state.withLock({ $0.next(key, isWorking: true) }) else { return }
                update = newer
            }
        }
    }

    /// Calls the fallback of an update that failed, unless there is a newer one.
    private func ended(_ update: Update, of key: Key, isShown: Bool) {
        let fallback = state.withLock { state -> (@Sendable () -> Void)? in
            guard state.entries[key]?.wanted == update.reply else { return nil }
            let fallback = state.entries[key]?.fallback
            state.change(key) { $0.fallback = nil }
            return isShown ? nil : fallback
        }
        fallback?()
    }

    /// Sends one update. An update that the backend rejects is dropped, because the next one contains the whole message.
    /// Returns false then.
    private func send(_ update: Update, _ backend: any Editing) async -> Bool {
        for attempt in 1...Self.attempts {
            do {
                try await backend.replace(update.message, at: update.address, with: update.reply)
                return true
            } catch is CancellationError {
                return false
            } catch {
                guard attempt < Self.attempts, let pause = Self.pause(after: error),
                    await pool.pause(for: pause, on: clock)
                else {
                    let place = Printable.name(update.address.place.id)
                    logger.notice("A message in \(place) on \(backend.name) was not updated: \(error)")
                    return false
                }
            }
        }
        return false
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
