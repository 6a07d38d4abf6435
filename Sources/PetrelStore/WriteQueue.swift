import Foundation
import GRDB
import Logging
import PetrelKit
import PetrelSupport

/// The disk is full or broken, and what was to be written before waits in memory.
struct StoreTakesNothing: Error, CustomStringConvertible {
    var description: String { "the store cannot be written at the moment" }
}

/// Does something in a while, once.
package typealias Later = @Sendable (_ delay: Duration, _ work: @escaping @Sendable () -> Void) -> Void

/// On a thread of its own.
package let laterElsewhere: Later = { delay, work in
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(delay / .nanoseconds(1))), execute: work)
}

/// The one way to write: what comes while a transaction runs goes into the next one as a whole, so that durability
/// costs few transactions however much there is to write.
///
/// What the disk does not take, because it is full or broken, waits in memory and is tried again.
final class WriteQueue: Sendable {
    struct Change: Sendable {
        var apply: @Sendable (Database) throws -> Void
        /// Under which the journal has it already.
        var entry: Int64?
        /// Called when it is in the store, from the thread that writes.
        var written: (@Sendable () -> Void)?
    }

    private struct State {
        var waiting: [Change] = []
        var isWorking = false
        /// The change for which a transaction will begin in a moment, if nobody has written it by then.
        var scheduled: Int?
        /// Counts of changes since the start.
        var submitted = 0
        var settled = 0
        /// Through which of them somebody waits, or has waited long enough.
        var due = 0
        var problem: String?
        var isRetrying = false
        var waiters: [(number: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var observers: [@Sendable (_ isTaking: Bool) -> Void] = []
        var logger: Logger?
    }

    /// More than this many wait only when the disk takes nothing for long.
    static let capacity = 200_000

    private static let pause = Duration.seconds(1)

    private let database: any DatabaseWriter
    private let leisure: Duration
    private let later: Later
    private let state = Locked(State())
    private let journal: Journal?

    /// - Parameters:
    ///   - leisure: how long a change may wait for others that nobody waits for.
    ///   - journal: of what must not be lost meanwhile; nil where such a change is written at once.
    init(
        _ database: any DatabaseWriter, leisure: Duration = .milliseconds(5), journal: Journal? = nil,
        later: @escaping Later = laterElsewhere
    ) {
        self.database = database
        self.journal = journal
        self.leisure = leisure
        self.later = later
    }

    /// Where trouble is told.
    func tell(_ logger: Logger) { state.withLock { $0.logger = logger } }

    var logger: Logger? { state.value.logger }

    /// Called after each transaction, and each time that the disk took nothing.
    func observe(_ observer: @escaping @Sendable (_ isTaking: Bool) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    /// How many changes wait, and why, where the disk takes nothing.
    var trouble: (count: Int, problem: String)? {
        state.withLock { state in state.problem.map { (state.waiting.count, $0) } }
    }

    /// Nothing waits.
    var isSettled: Bool { state.withLock { $0.settled == $0.submitted } }

    /// Adds a change, which is written within twice the `leisure`, or as soon as somebody waits for it.
    /// - Returns: its number.
    @discardableResult func submit(
        _ apply: @escaping @Sendable (Database) throws -> Void, entry: Int64? = nil,
        written: (@Sendable () -> Void)? = nil
    ) -> Int {
        let (number, isLost, isFirst) = state.withLock { state in
            if state.problem != nil, state.waiting.count >= Self.capacity { return (state.submitted, true, false) }
            state.waiting.append(Change(apply: apply, entry: entry, written: written))
            state.submitted += 1
            return (state.submitted, false, Self.schedules(&state))
        }
        if isLost {
            state.value.logger?.critical("The store cannot be written, too much waits, and a change was lost.")
            // Nobody shall wait for it.
            written?()
        } else if isFirst {
            schedule()
        }
        return number
    }

    /// Adds a change, and returns once a crash cannot lose the record that it brings into the store, or the disk takes
    /// nothing.
    func submit(
        _ apply: @escaping @Sendable (Database) throws -> Void,
        keeping record: (module: String, collection: String, key: String, value: [UInt8])
    ) async {
        if await journal?.append(record, then: { self.submit(apply, entry: $0) }) == true { return }
        submit(apply)
        _ = await written()
    }

    /// Whether the last change is one for which a transaction has to be begun.
    private static func schedules(_ state: inout State) -> Bool {
        guard state.scheduled == nil else { return false }
        state.scheduled = state.submitted
        return true
    }

    private func schedule() {
        later(leisure) {
            let (number, isNext) = self.state.withLock { state in
                let isWritten = state.scheduled.map { $0 <= state.settled } ?? true
                state.scheduled = nil
                // Where others write all the time, the rest goes with what they write next.
                guard isWritten else { return (state.submitted, false) }
                return (0, state.submitted > state.settled && Self.schedules(&state))
            }
            if isNext { self.schedule() } else { self.flush(through: number) }
        }
    }

    /// Writes the changes up to this one now, because a caller waits for them.
    func flush(through number: Int) { if begin(through: number, evenInTrouble: false) { work() } }

    /// Returns once everything that was submitted is in the store; false where the disk takes nothing.
    /// - Parameter triesAgain: also where it took nothing before, which may take seconds.
    func written(triesAgain: Bool = false) async -> Bool {
        if begin(through: .max, evenInTrouble: triesAgain) { work() }
        return await withCheckedContinuation { continuation in
            let result: Bool? = state.withLock { state in
                if state.settled == state.submitted { return true }
                if state.problem != nil, !state.isWorking { return false }
                state.waiters.append((state.submitted, continuation))
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }

    /// Works on the thread of the database. Callers may be on an event loop, which must not wait for a disk, for the
    /// writer's lock, or for another process.
    private func work() { database.asyncWriteWithoutTransaction { self.work($0) } }

    /// Writes at once, after everything that was submitted before. Throws where the disk does not take it.
    func perform<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        guard await written() else { throw StoreTakesNothing() }
        return try await database.write(work)
    }

    /// Reads what was submitted before, as far as the disk took it.
    func read<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        _ = await written()
        return try await database.read(work)
    }

    /// Whether the caller has to work now: nobody does, and there is something to do.
    private func begin(through number: Int, evenInTrouble: Bool) -> Bool {
        state.withLock { state in
            state.due = max(state.due, min(number, state.submitted))
            guard !state.isWorking, evenInTrouble || state.problem == nil, state.due > state.settled else {
                return false
            }
            state.isWorking = true
            return true
        }
    }

    private func work(_ database: Database) {
        while let batch = take() {
            do {
                try Self.apply(batch, database)
                settle(batch)
            } catch  where Self.isTrouble(error) {
                return giveBack(batch, "\(error)")
            } catch {
                guard separate(batch, database) else { return }
            }
        }
    }

    /// What is due. The rest is due soon, and may not have to be written by then.
    private func take() -> [Change]? {
        state.withLock { state in
            let count = state.due - state.settled
            guard count > 0 else {
                state.isWorking = false
                return nil
            }
            defer { state.waiting.removeFirst(count) }
            return Array(state.waiting.prefix(count))
        }
    }

    private static func apply(_ batch: [Change], _ database: Database) throws {
        try database.inTransaction(.immediate) {
            for change in batch { try change.apply(database) }
            if let last = batch.last(where: { $0.entry != nil })?.entry {
                try database.cachedStatement(sql: "UPDATE journal SET applied = ?").execute(arguments: [last])
            }
            return .commit
        }
    }

    /// One change that cannot be written costs itself, not those beside it. False where the disk took nothing.
    private func separate(_ batch: [Change], _ database: Database) -> Bool {
        for (index, change) in batch.enumerated() {
            do {
                try Self.apply([change], database)
            } catch  where Self.isTrouble(error) {
                giveBack(Array(batch[index...]), "\(error)")
                return false
            } catch {
                state.value.logger?.critical("The store refused a change, which is lost: \(error)")
            }
            settle([change])
        }
        return true
    }

    private func settle(_ batch: [Change]) {
        for change in batch { change.written?() }
        if let last = batch.last(where: { $0.entry != nil })?.entry { journal?.settle(through: last) }
        let (observers, waiters, isOver, logger) = state.withLock { state in
            state.settled += batch.count
            let isOver = state.problem != nil
            state.problem = nil
            return (state.observers, Self.release(through: state.settled, &state), isOver, state.logger)
        }
        if isOver { logger?.notice("The store takes everything again.") }
        for observer in observers { observer(true) }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    private func giveBack(_ batch: [Change], _ problem: String) {
        let (observers, waiters, isNew, isFirst, logger) = state.withLock { state in
            // From here on it is tried again and again, until it succeeds.
            let (isNew, isFirst) = (state.problem == nil, !state.isRetrying)
            state.isRetrying = true
            state.problem = problem
            state.waiting = batch + state.waiting
            state.isWorking = false
            return (state.observers, Self.release(through: .max, &state), isNew, isFirst, state.logger)
        }
        if isNew { logger?.critical("The store cannot be written; what is to be kept waits in memory: \(problem)") }
        for observer in observers { observer(false) }
        for waiter in waiters { waiter.resume(returning: false) }
        if isFirst { Task { await retry() } }
    }

    private func retry() async {
        repeat {
            // Nobody cancels this task.
            try? await Task.sleep(for: Self.pause)
            // What of the log is in the database can be written over, on a full disk too. Where that fails, so does what
            // follows, which tells of it.
            _ = try? await database.writeWithoutTransaction { database in
                // SQLite does not expect to be called after the end.
                if database.sqliteConnection != nil { try database.checkpoint(.passive) }
            }
            _ = await written(triesAgain: true)
        } while !endsRetrying()
    }

    /// Whether there is nothing to try again.
    private func endsRetrying() -> Bool {
        state.withLock { state in
            if state.problem == nil { state.isRetrying = false }
            return !state.isRetrying
        }
    }

    private static func release(through number: Int, _ state: inout State) -> [CheckedContinuation<Bool, Never>] {
        let released = state.waiters.filter { $0.number <= number }
        state.waiters.removeAll { $0.number <= number }
        return released.map(\.continuation)
    }

    /// The disk is full, broken, or somebody else's: trying again may help.
    private static func isTrouble(_ error: any Error) -> Bool {
        guard let code = (error as? DatabaseError)?.resultCode else { return false }
        return [
            .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_READONLY,
            .SQLITE_NOMEM, .SQLITE_PROTOCOL, .SQLITE_CORRUPT, .SQLITE_NOTADB,
        ].contains(code)
    }
}
