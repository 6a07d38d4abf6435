import Foundation
import GRDB
import PetrelSupport

/// Writes the bytes that are appended to logs: all of a twentieth of a second in one transaction, adjacent ones of one
/// stream in one row.
///
/// While writes are slow or failing, bytes are buffered up to ``most``, and appending waits for room. That makes the
/// programs wait whose output it is, instead of losing a part of it.
final class LogWriter: Sendable {
    struct Name: Hashable, Sendable {
        var module: String
        var collection: String
        var log: String
    }

    /// The time that bytes wait for further ones.
    static let linger = Duration.milliseconds(50)
    /// The number of bytes from which on they are written at once, and appending waits until they are.
    static let most = 1 << 20
    /// The time after which a wait looks at the clock again.
    private static let step = Duration.seconds(1)
    /// The maximum size of a row.
    private static let longestRow = 64 << 10

    /// The bytes of one transaction. It takes no more bytes once it is being written, so that a failed transaction can be
    /// repeated.
    private final class Batch: Sendable {
        struct Row: Sendable {
            var name: Name
            var stream: UInt8
            var bytes: [UInt8]
        }

        struct Rows: Sendable {
            var rows: [Row] = []
            /// The last row of each log.
            var last: [Name: Int] = [:]
            var bytes = 0
            var isClosed = false
            /// True if the queue has called for the rows.
            var isTaken = false
        }

        /// The number of the batch.
        let number: Int
        private let rows = Locked(Rows())

        init(number: Int) { self.number = number }

        /// The number of bytes.
        var size: Int { rows.withLock { $0.bytes } }

        /// Adds bytes. Returns false if the batch is closed.
        @discardableResult
        func add(_ bytes: [UInt8], _ stream: UInt8, _ name: Name) -> Bool {
            rows.withLock { rows in
                if rows.isClosed { return false }
                if let last = rows.last[name], rows.rows[last].stream == stream,
                    rows.rows[last].bytes.count + bytes.count <= LogWriter.longestRow
                {
                    rows.rows[last].bytes.append(contentsOf: bytes)
                } else {
                    rows.last[name] = rows.rows.count
                    rows.rows.append(Row(name: name, stream: stream, bytes: bytes))
                }
                rows.bytes += bytes.count
                return true
            }
        }

        /// Closes the batch, and returns its rows to the transaction that writes them.
        func take() -> [Row] {
            rows.withLock { rows in
                rows.isClosed = true
                rows.isTaken = true
                return rows.rows
            }
        }

        /// Closes the batch.
        func close() { rows.withLock { $0.isClosed = true } }

        /// True if the queue has rejected the batch.
        var isRejected: Bool { rows.withLock { $0.isClosed && !$0.isTaken } }
    }

    /// The batch that takes bytes, and the number of its change in the queue.
    private struct Open: Sendable {
        var batch: Batch?
        var change = 0
        /// The number of batches since the start.
        var count = 0
    }

    private struct Progress: Sendable {
        /// The number of bytes that are not in the database.
        var pending = 0
        /// The number of the last batch that is in the database.
        var settled = 0
        /// The time since which writes are failing; nil if the last one succeeded.
        var failing: ContinuousClock.Instant?
        /// A signal that the next change of the progress opens.
        var next = Signal()
    }

    let queue: WriteQueue
    private let patience: Locked<Duration>
    private let open = Locked(Open())
    private let progress = Locked(Progress())

    /// - Parameter patience: The time for which appending waits for room.
    init(_ queue: WriteQueue, patience: Duration = .seconds(20)) {
        self.queue = queue
        self.patience = Locked(patience)
        queue.observe { [progress] isTaking in
            let signal = progress.withLock { progress in
                progress.failing = isTaking ? nil : progress.failing ?? .now
                return Self.advance(&progress)
            }
            signal.open()
        }
    }

    /// Sets the time for which appending waits for room.
    func wait(atMost patience: Duration) { self.patience.withLock { $0 = patience } }

    /// Returns the signal of a change, and prepares the next one.
    private static func advance(_ progress: inout Progress) -> Signal {
        defer { progress.next = Signal() }
        return progress.next
    }

    /// Appends bytes to a log; see ``LogCollection/append(_:stream:to:)``.
    func append(_ bytes: [UInt8], _ stream: UInt8, to name: Name) async throws {
        guard !bytes.isEmpty else { return }
        try await wait { $0.pending < Self.most }
        guard add(bytes, stream, name) else { throw WritesAreFailing() }
    }

    /// Adds bytes to the open batch, however many are pending. Returns false if they are lost, because the queue is full.
    @discardableResult
    func add(_ bytes: [UInt8], _ stream: UInt8, _ name: Name) -> Bool {
        let change = open.withLock { open -> Int? in
            progress.withLock { $0.pending += bytes.count }
            if open.batch?.add(bytes, stream, name) == true { return open.change }
            open.count += 1
            // The queue may write the batch before it returns, so the bytes come first.
            let batch = Batch(number: open.count)
            batch.add(bytes, stream, name)
            open.change = queue.submit({ try Self.write(batch.take(), $0) }, written: { self.settle(batch) })
            open.batch = batch
            return batch.isRejected ? nil : open.change
        }
        guard let change else { return false }
        if progress.withLock({ $0.pending >= Self.most }) { queue.flush(through: change) }
        return true
    }

    private func settle(_ batch: Batch) {
        // A batch that the queue has rejected is still open.
        batch.close()
        let signal = progress.withLock { progress in
            progress.pending -= batch.size
            progress.settled = max(progress.settled, batch.number)
            return Self.advance(&progress)
        }
        signal.open()
    }

    /// Waits until all bytes are in the database that were appended before. Returns false if writes are failing.
    func written() async -> Bool {
        let (number, change) = open.withLock { ($0.count, $0.change) }
        queue.flush(through: change)
        do {
            try await wait { $0.settled >= number }
            return true
        } catch {
            return false
        }
    }

    /// Waits for progress, at most as long as the patience lasts from now, or from the first failure on. Throws
    /// ``WritesAreFailing`` after that time, and `CancellationError` if the task is cancelled.
    ///
    /// A pause of the whole process counts as a short one, because nothing could be written meanwhile.
    private func wait(until isMet: (Progress) -> Bool) async throws {
        var waited = Duration.zero
        while true {
            let progress = progress.value
            if isMet(progress) { return }
            let start = ContinuousClock.now
            let left = patience.value - max(waited, progress.failing.map { start - $0 } ?? .zero)
            guard left > .zero else { throw WritesAreFailing() }
            let step = min(left, Self.step)
            await Signal.wait(for: progress.next, atMost: step)
            try Task.checkCancellation()
            waited += min(ContinuousClock.now - start, step)
        }
    }

    private static func write(_ rows: [Batch.Row], _ database: Database) throws {
        var logs: [Name: (number: Int64, end: Int64)] = [:]
        let now = Date.now.timeIntervalSince1970
        let insertion = try database.cachedStatement(
            sql: "INSERT INTO log_chunk (log, place, stream, bytes) VALUES (?, ?, ?, ?)")
        for row in rows {
            var log = try logs[row.name] ?? number(of: row.name, now, database)
            try insertion.execute(arguments: [log.number, log.end, row.stream, Data(row.bytes)])
            log.end += Int64(row.bytes.count)
            logs[row.name] = log
        }
        let update = try database.cachedStatement(sql: "UPDATE log SET end = ?, time = ? WHERE number = ?")
        for log in logs.values { try update.execute(arguments: [log.end, now, log.number]) }
    }

    private static func number(
        of name: Name, _ now: Double, _ database: Database
    ) throws -> (number: Int64, end: Int64) {
        let row = try Row.fetchOne(
            database.cachedStatement(
                sql: "SELECT number, end FROM log WHERE module = ? AND collection = ? AND name = ?"),
            arguments: [name.module, name.collection, name.log])
        if let row { return (try row.value("number"), try row.value("end")) }
        try database.cachedStatement(
            sql: "INSERT INTO log (module, collection, name, start, end, time) VALUES (?, ?, ?, 0, 0, ?)"
        ).execute(arguments: [name.module, name.collection, name.log, now])
        return (database.lastInsertedRowID, 0)
    }
}
