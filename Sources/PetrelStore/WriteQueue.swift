import Foundation
import GRDB
import Logging
import PetrelKit
import PetrelSupport

/// The error of an operation that depends on earlier changes while database writes are failing.
struct WritesAreFailing: Error, CustomStringConvertible {
    var description: String { "database writes are failing; see the log" }
}

/// A function that calls a closure once, after a delay.
package typealias Later = @Sendable (_ delay: Duration, _ work: @escaping @Sendable () -> Void) -> Void

/// Calls a closure after a delay on a thread of a global dispatch queue.
package let laterElsewhere: Later = { delay, work in
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(delay / .nanoseconds(1))), execute: work)
}

/// A queue that groups changes of the database into transactions (group commit).
///
/// All changes that are submitted while a transaction runs are written in the next one, so the number of transactions
/// stays small under load. If writes fail, because the disk is full or broken, the changes are buffered in memory and
/// retried.
final class WriteQueue: Sendable {
    struct Change: Sendable {
        var apply: @Sendable (Database) throws -> Void
        /// The sequence number of its journal entry, if it has one.
        var entry: Int64?
        /// A closure that is called on the writing thread after the change was committed.
        var written: (@Sendable () -> Void)?
    }

    private struct State {
        var waiting: [Change] = []
        var isWorking = false
        /// The number of the change for which a transaction is scheduled. It is skipped if the change is written
        /// earlier.
        var scheduled: Int?
        /// The number of submitted changes since the start.
        var submitted = 0
        /// The number of completed changes since the start.
        var settled = 0
        /// The number of the last change that has to be written now, because a caller waits for it or its time has
        /// come.
        var due = 0
        /// The error of the last write, or nil if it succeeded.
        var problem: String?
        var isRetrying = false
        var waiters: [(number: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var observers: [@Sendable (_ isTaking: Bool) -> Void] = []
        var logger: Logger?
        /// The subjects of warnings that were logged.
        var warned: Set<String> = []
    }

    /// The maximum number of subjects that are remembered, so that each is logged once.
    private static let mostWarned = 1_000
    /// The maximum number of changes that are buffered in memory while writes are failing.
    static let capacity = 200_000

    private static let pause = Duration.seconds(1)

    private let database: any DatabaseWriter
    private let linger: Duration
    private let later: Later
    private let state = Locked(State())
    private let journal: Journal?

    /// Creates a queue.
    ///
    /// - Parameters:
    ///   - linger: The time that a change waits for further changes if no caller waits for it.
    ///   - journal: A journal for changes that must survive a crash, or nil to write them to the database at once.
    ///   - later: A function that schedules transactions.
    init(
        _ database: any DatabaseWriter, linger: Duration = .milliseconds(5), journal: Journal? = nil,
        later: @escaping Later = laterElsewhere
    ) {
        self.database = database
        self.journal = journal
        self.linger = linger
        self.later = later
    }

    /// Sets the logger for failed writes.
    func tell(_ logger: Logger) { state.withLock { $0.logger = logger } }

    var logger: Logger? { state.value.logger }

    /// Logs a warning, unless one about the same subject was logged. Further subjects than ``mostWarned`` are not logged.
    func warnOnce(of subject: String, _ text: String) {
        let logger: Logger? = state.withLock { state in
            guard state.warned.count < Self.mostWarned, state.warned.insert(subject).inserted else { return nil }
            return state.logger
        }
        logger?.warning("\(text)")
    }

    /// Adds an observer, which is called after each transaction with true and after each failed write with false.
    func observe(_ observer: @escaping @Sendable (_ isTaking: Bool) -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    /// The number of buffered changes and the error, or nil if writes succeed.
    var trouble: (count: Int, problem: String)? {
        state.withLock { state in state.problem.map { (state.waiting.count, $0) } }
    }

    /// True if all submitted changes are completed.
    var isSettled: Bool { state.withLock { $0.settled == $0.submitted } }

    /// Submits a change. It is written within twice the `linger` time, or as soon as a caller waits for it.
    ///
    /// - Returns: The number of the change.
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
            state.value.logger?.critical(
                "Database writes are failing and the buffer in memory is full: a change was lost.")
            // No caller may wait for it forever.
            written?()
        } else if isFirst {
            schedule()
        }
        return number
    }

    /// Submits the insertion of a record, and waits until the record survives a crash or writes are failing.
    func submit(
        _ apply: @escaping @Sendable (Database) throws -> Void,
        keeping record: (module: String, collection: String, key: String, value: [UInt8])
    ) async {
        if await journal?.append(record, then: { self.submit(apply, entry: $0) }) == true { return }
        submit(apply)
        _ = await written()
    }

    /// Marks the last change as scheduled. Returns false if a transaction is already scheduled.
    private static func schedules(_ state: inout State) -> Bool {
        guard state.scheduled == nil else { return false }
        state.scheduled = state.submitted
        return true
    }

    private func schedule() {
        later(linger) {
            let (number, isNext) = self.state.withLock { state in
                let isWritten = state.scheduled.map { $0 <= state.settled } ?? true
                state.scheduled = nil
                // While callers write all the time, the remaining changes are part of their next transaction.
                guard isWritten else { return (state.submitted, false) }
                return (0, state.submitted > state.settled && Self.schedules(&state))
            }
            if isNext { self.schedule() } else { self.flush(through: number) }
        }
    }

    /// Writes the changes up to this one now, because a caller waits for them.
    func flush(through number: Int) { if begin(through: number, evenInTrouble: false) { work() } }

    /// Waits until all submitted changes are in the database.
    ///
    /// - Parameter triesAgain: True to retry if writes are failing, which may take seconds.
    /// - Returns: False if writes are failing.
    func written(triesAgain: Bool = false) async -> Bool {
        if begin(through: .max, evenInTrouble: triesAgain) { work() }
        return await completed(through: .max)
    }

    /// Writes the changes up to this one now, and waits until they are in the database.
    ///
    /// - Returns: False if writes are failing.
    @discardableResult
    func written(through number: Int) async -> Bool {
        flush(through: number)
        return await completed(through: number)
    }

    private func completed(through number: Int) async -> Bool {
        await withCheckedContinuation { continuation in
            let result: Bool? = state.withLock { state in
                let number = min(number, state.submitted)
                if state.settled >= number { return true }
                if state.problem != nil, !state.isWorking { return false }
                state.waiters.append((number, continuation))
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }

    /// Works on the thread of the database. Callers may be on an event loop, which must not wait for a disk, for the
    /// writer's lock, or for another process.
    private func work() { database.asyncWriteWithoutTransaction { self.work($0) } }

    /// Runs a transaction after all changes that were submitted before. Throws if writes are failing.
    func perform<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        guard await written() else { throw WritesAreFailing() }
        return try await database.write(work)
    }

    /// Reads from the database after all changes that were submitted before, except those that failed to be written.
    func read<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        _ = await written()
        return try await database.read(work)
    }

    /// Returns true if the caller has to write: changes are due and no other thread is writing.
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

    /// Takes the changes that are due. Others stay in the queue, because they may become superfluous until they are
    /// due.
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

    /// Writes changes one by one, so that a change that the database rejects does not affect the others. Returns false
    /// if writes are failing.
    private func separate(_ batch: [Change], _ database: Database) -> Bool {
        for (index, change) in batch.enumerated() {
            do {
                try Self.apply([change], database)
            } catch  where Self.isTrouble(error) {
                giveBack(Array(batch[index...]), "\(error)")
                return false
            } catch {
                state.value.logger?.critical("The database rejected a change, which is lost: \(error)")
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
        if isOver { logger?.notice("Database writes succeed again.") }
        for observer in observers { observer(true) }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    private func giveBack(_ batch: [Change], _ problem: String) {
        let (observers, waiters, isNew, isFirst, logger) = state.withLock { state in
            // From here on, retry() runs until a write succeeds.
            let (isNew, isFirst) = (state.problem == nil, !state.isRetrying)
            state.isRetrying = true
            state.problem = problem
            state.waiting = batch + state.waiting
            state.isWorking = false
            return (state.observers, Self.release(through: .max, &state), isNew, isFirst, state.logger)
        }
        if isNew { logger?.critical("Database writes are failing; changes are buffered in memory: \(problem)") }
        for observer in observers { observer(false) }
        for waiter in waiters { waiter.resume(returning: false) }
        if isFirst { Task { await retry() } }
    }

    private func retry() async {
        repeat {
            // This task is never cancelled.
            try? await Task.sleep(for: Self.pause)
            // A checkpoint makes space in the log reusable, even on a full disk. If it fails, the write after it fails
            // as well and reports the error.
            _ = try? await database.writeWithoutTransaction { database in
                // SQLite must not be called after the connection was closed.
                if database.sqliteConnection != nil { try database.checkpoint(.passive) }
            }
            _ = await written(triesAgain: true)
        } while !endsRetrying()
    }

    /// Returns true if writes succeed, so that retrying can stop.
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

    /// Returns true for errors that may disappear, such as a full or broken disk and a lock of another program.
    private static func isTrouble(_ error: any Error) -> Bool {
        guard let code = (error as? DatabaseError)?.resultCode else { return false }
        return [
            .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_READONLY,
            .SQLITE_NOMEM, .SQLITE_PROTOCOL, .SQLITE_CORRUPT, .SQLITE_NOTADB,
        ].contains(code)
    }
}
