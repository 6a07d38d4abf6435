import Foundation
import JobEngine
import PetrelKit
import PetrelSupport

/// The records of jobs: those of the jobs that have not ended in memory, and all of them in the store.
final class JobBook: Sendable {
    private struct State: Sendable {
        /// The number of the next job; nil until the number of the last one is known.
        var next: Int?
        /// The number of the first job of this run.
        var first = 1
        /// The jobs that have not ended.
        var active: [Int: JobRecord] = [:]
        /// The newest jobs of this run that have ended, because the store may not have written their ends yet.
        var ended: [Int: JobRecord] = [:]

        func job(_ id: Int) -> JobRecord? { active[id] ?? ended[id] }

        mutating func end(_ record: JobRecord) {
            active[record.id] = nil
            ended[record.id] = record
            if ended.count > JobBook.mostEnded, let oldest = ended.keys.min() { ended[oldest] = nil }
        }
    }

    /// The maximum number of jobs in memory that have ended.
    private static let mostEnded = 1_000

    private static let pageSize = 100
    /// The maximum number of records that a search reads.
    static let longestSearch = 20_000

    private let storage: any Storage
    private let reader: RecordReader
    private let state = Locked(State())

    init(_ storage: any Storage, _ reader: RecordReader) {
        self.storage = storage
        self.reader = reader
    }

    private var jobs: any RecordCollection { storage.records("jobs") }
    /// The jobs whose results were not said. The record is removed in one transaction with the result.
    private var open: any RecordCollection { storage.records(Self.openCollection) }
    static let openCollection = "open"

    /// The replies of calls that were not said.
    private var replies: any RecordCollection { storage.records("replies") }

    private func index(of person: String, on backend: String) -> any RecordCollection {
        storage.records("jobs of \(backend)/\(person)")
    }

    /// The number of the last job, once its record was removed.
    private var numbers: any RecordCollection { storage.records("numbers") }

    /// Finds the number of the last job.
    func restore() async throws {
        let stored = try await numbers.value(for: "last").flatMap { Int(String(decoding: $0, as: UTF8.self)) }
        let last = max(try await lastNumber(), min(stored ?? 0, JobRecord.last))
        state.withLock { state in
            guard state.next == nil else { return }
            state.first = last + 1
            state.next = last + 1
        }
    }

    /// Returns the number of the newest record; 0 without records.
    private func lastNumber() async throws -> Int {
        var last: String?
        while true {
            let page = try await jobs.page(after: last, limit: Self.pageSize, backwards: true)
            if let number = page.lazy.compactMap({ JobRecord.number(of: $0.key) }).first { return number }
            guard page.count == Self.pageSize else { return 0 }
            last = page.last?.key
        }
    }

    /// Returns the number for a new job.
    func number() throws -> Int {
        let number = state.withLock { state -> Int? in
            defer { state.next = state.next.map { $0 + 1 } }
            return state.next
        }
        guard let number else {
            throw Refusal("The records of jobs cannot be read at the moment, so no job can be started; see the log.")
        }
        return number
    }

    /// Returns true if a job belongs to an earlier run.
    func isOfEarlierRun(_ id: Int) -> Bool { state.withLock { id < $0.first } }

    /// Stores a new job, and returns once a crash cannot lose it.
    func add(_ record: JobRecord) async throws {
        let bytes = try JSONValue.encode(record) as [UInt8]
        state.withLock { $0.active[record.id] = record }
        // First, so that a job that is known is also known as open.
        await open.keep(Array("{}".utf8), for: record.key)
        await jobs.keep(bytes, for: record.key)
        list(record)
    }

    /// Adds a job to those of its person.
    private func list(_ record: JobRecord) {
        index(of: record.person, on: record.address.backend).put(Array("{}".utf8), for: record.key)
    }

    /// Notes that a job runs.
    /// - Parameter process: The process identifier, if the job has a process of its own.
    func start(_ id: Int, as process: Int32?) throws {
        let identity = process.flatMap { ProcessTable.identity(of: $0) }
        let record = state.withLock { state -> JobRecord? in
            state.active[id]?.status = .running
            state.active[id]?.processIdentity = identity
            state.active[id]?.started = .now
            state.active[id]?.process = process
            return state.active[id]
        }
        if let record { jobs.put(try JSONValue.encode(record), for: record.key) }
    }

    /// Stores the end of a job, and returns once a crash cannot lose it.
    func finish(_ id: Int, _ change: (inout JobRecord) -> Void) async throws -> JobRecord? {
        guard var record = state.withLock({ $0.active[id] }) else { return nil }
        change(&record)
        let (bytes, final) = (try JSONValue.encode(record) as [UInt8], record)
        await jobs.keep(bytes, for: record.key)
        state.withLock { $0.end(final) }
        return record
    }

    /// Stores the reply of a call, and returns once a crash cannot lose it.
    func keep(reply: JSONValue, of job: JobRecord) async {
        // Encoding fails only for a number that is not finite, which no message contains.
        guard let bytes: [UInt8] = try? JSONValue.encode(reply) else { return }
        await replies.keep(bytes, for: job.key)
    }

    /// Returns the reply of a call; nil if it has none.
    func reply(of job: JobRecord) async throws -> JSONValue? {
        try await replies.value(for: job.key).map { try JSONValue.parse($0) }
    }

    /// Removes the reply of a call.
    func removeReply(of job: JobRecord) { replies.put(nil, for: job.key) }

    /// Stores a record that is not in memory.
    func replace(_ record: JobRecord) throws { jobs.put(try JSONValue.encode(record), for: record.key) }

    /// The jobs that have not ended.
    var active: [JobRecord] { state.withLock { Array($0.active.values) } }

    /// Returns the job with this number; nil if it does not exist.
    func job(_ id: Int) async throws -> JobRecord? {
        if let record = state.withLock({ $0.job(id) }) { return record }
        let key = JobRecord.key(id)
        return try await jobs.value(for: key).flatMap { decode($0, of: key) }
    }

    /// The result of a search.
    struct Search: Sendable {
        /// The jobs that were found, the newest first.
        var jobs: [JobRecord] = []
        /// The oldest job that was looked at, if there are older ones and fewer jobs were found than wanted; else nil.
        var end: JobRecord?
    }

    /// Returns the newest jobs, of one person or of all.
    func newest(
        _ limit: Int, of person: (id: String, backend: String)? = nil,
        where isWanted: (JobRecord) -> Bool = { _ in true }
    ) async throws -> Search {
        var (search, last, read) = (Search(), String?.none, 0)
        while search.jobs.count < limit {
            let (keys, jobs) = try await page(before: last, of: person)
            if read >= Self.longestSearch {
                if keys.isEmpty { search.end = nil }
                return search
            }
            search.jobs += jobs.filter(isWanted).prefix(limit - search.jobs.count)
            search.end = jobs.last ?? search.end
            guard keys.count == Self.pageSize else { break }
            last = keys.last
            read += keys.count
        }
        search.end = nil
        return search
    }

    /// Returns a page of the newest jobs, and the keys of the page in the store.
    private func page(
        before last: String?, of person: (id: String, backend: String)?
    ) async throws -> (keys: [String], jobs: [JobRecord]) {
        let (keys, values) = try await storedPage(before: last, of: person)
        let state = state.value
        // The index may name a job that was removed meanwhile.
        let stored = keys.compactMap { key in
            JobRecord.number(of: key).flatMap { state.job($0) } ?? values[key].flatMap { decode($0, of: key) }
        }
        guard last == nil else { return (keys, stored) }
        // The store may not have written the newest ones yet.
        let known = Set(keys)
        let end = keys.count == Self.pageSize ? keys.last ?? "" : ""
        let others = (Array(state.active.values) + state.ended.values).filter { job in
            !known.contains(job.key) && job.key > end && person.map { job.belongs(to: $0.id, on: $0.backend) } ?? true
        }
        return (keys, (stored + others).sorted { $0.id > $1.id })
    }

    private func storedPage(
        before last: String?, of person: (id: String, backend: String)?
    ) async throws -> (keys: [String], values: [String: [UInt8]]) {
        guard let person else {
            let page = try await jobs.page(after: last, limit: Self.pageSize, backwards: true)
            return (page.map(\.key), Dictionary(page.map { ($0.key, $0.value) }) { first, _ in first })
        }
        let keys = try await index(of: person.id, on: person.backend)
            .page(after: last, limit: Self.pageSize, backwards: true).map(\.key)
        return (keys, try await jobs.values(for: keys))
    }

    /// Returns the jobs of earlier runs whose results were not said.
    func unsaid() async throws -> [JobRecord] {
        var jobs: [JobRecord] = []
        for record in try await open.all() {
            guard let id = JobRecord.number(of: record.key), isOfEarlierRun(id), let job = try await job(id) else {
                continue
            }
            // The crash may have lost this, which is written later than the job.
            list(job)
            jobs.append(job)
        }
        return jobs
    }

    /// Notes that nobody waits for the result of a job.
    func close(_ job: JobRecord) { open.put(nil, for: job.key) }

    /// Removes the jobs that ended before a time, with their logs. Returns the number of removed jobs.
    @discardableResult
    func purge(before time: Date, _ logs: any LogCollection) async throws -> Int {
        var (removed, last) = (0, String?.none)
        while true {
            let page = try await jobs.page(after: last, limit: Self.pageSize, backwards: false)
            let records = page.map { (key: $0.key, job: decode($0.value, of: $0.key)) }
            // Among old jobs there may be one that still runs.
            let isOld = { (job: JobRecord) in job.ended.map { $0 < time } ?? false }
            let lastOld = records.last { $0.job.map(isOld) == true }?.key
            // A record that cannot be read is older than those that follow it.
            let old = records.filter { record in record.job.map(isOld) ?? (lastOld.map { record.key < $0 } ?? false) }
            for record in old { try await remove(record.key, record.job, logs) }
            removed += old.count
            let isOver = old.isEmpty && records.contains { $0.job != nil }
            if isOver || page.count < Self.pageSize { return removed }
            last = page.last?.key
        }
    }

    /// Returns those keys that are not keys of jobs.
    func unrecorded(_ keys: [String]) async throws -> [String] {
        let (state, stored) = (state.value, try await jobs.values(for: keys))
        return keys.filter { key in
            stored[key] == nil && JobRecord.number(of: key).flatMap { state.job($0) } == nil
        }
    }

    /// Removes a job that has ended, with its log.
    func remove(_ job: JobRecord, _ logs: any LogCollection) async throws { try await remove(job.key, job, logs) }

    private func remove(_ key: String, _ job: JobRecord?, _ logs: any LogCollection) async throws {
        // Numbers are never used again, even if no record is left.
        if let next = state.withLock({ $0.next }) { numbers.put(Array("\(next - 1)".utf8), for: "last") }
        try await logs.remove(key)
        if let id = JobRecord.number(of: key) { state.withLock { $0.ended[id] = nil } }
        if let job { index(of: job.person, on: job.address.backend).put(nil, for: key) }
        open.put(nil, for: key)
        replies.put(nil, for: key)
        jobs.put(nil, for: key)
    }

    private func decode(_ bytes: [UInt8], of key: String) -> JobRecord? {
        let subject = JobRecord.number(of: key).map { "job \($0)" } ?? "job without a number"
        return reader.decode(JobRecord.self, bytes, subject, key: "jobs \(key)")
    }
}
