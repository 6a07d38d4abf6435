import Foundation
import PetrelKit
import PetrelSupport

/// The records of jobs: those of the jobs that have not ended in memory, and all of them in the store.
final class JobBook: Sendable {
    private struct State: Sendable {
        var next = 1
        var active: [Int: JobRecord] = [:]
    }

    private static let pageSize = 100
    /// The maximum number of records that a search reads.
    private static let longestSearch = 20_000

    private let storage: any Storage
    private let state = Locked(State())

    init(_ storage: any Storage) { self.storage = storage }

    private var jobs: any RecordCollection { storage.records("jobs") }
    /// The jobs whose results were not said. The record is removed in one transaction with the result.
    private var open: any RecordCollection { storage.records(Self.openCollection) }
    static let openCollection = "open"

    /// The replies of calls that were not said.
    private var replies: any RecordCollection { storage.records("replies") }

    private func index(of person: String, on backend: String) -> any RecordCollection {
        storage.records("jobs of \(backend)/\(person)")
    }

    /// Finds the number of the last job.
    func restore() async throws {
        let last = try await jobs.page(after: nil, limit: 1, backwards: true).first.flatMap { Int($0.key) } ?? 0
        state.withLock { $0.next = max($0.next, last + 1) }
    }

    /// Returns the number for a new job.
    func number() -> Int {
        state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
    }

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
        let record = state.withLock { state -> JobRecord? in
            state.active[id]?.status = .running
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
        defer { state.withLock { $0.active[id] = nil } }
        await jobs.keep(try JSONValue.encode(record), for: record.key)
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

    /// Returns a job; nil if there is none.
    func job(_ id: Int) async throws -> JobRecord? {
        if let record = state.withLock({ $0.active[id] }) { return record }
        return try await jobs.value(for: JobRecord.key(id)).map(Self.decode)
    }

    /// Returns the newest jobs, of one person or of all.
    func newest(
        _ limit: Int, of person: (id: String, backend: String)? = nil,
        where isWanted: (JobRecord) -> Bool = { _ in true }
    ) async throws -> [JobRecord] {
        let keys = person.map { index(of: $0.id, on: $0.backend) } ?? jobs
        var (found, last, read) = ([JobRecord](), String?.none, 0)
        while found.count < limit, read < Self.longestSearch {
            let page = try await keys.page(after: last, limit: Self.pageSize, backwards: true)
            for record in page {
                let job =
                    person == nil ? try Self.decode(record.value) : try await self.job(Int(record.key) ?? 0)
                // The index may name a job that was removed meanwhile.
                guard let job, isWanted(job) else { continue }
                found.append(job)
                if found.count == limit { break }
            }
            guard page.count == Self.pageSize else { break }
            last = page.last?.key
            read += page.count
        }
        return found
    }

    /// Returns the jobs whose results were not said.
    func unsaid() async throws -> [JobRecord] {
        var jobs: [JobRecord] = []
        for record in try await open.all() {
            guard let id = Int(record.key), let job = try await job(id) else { continue }
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
            // Among old jobs there may be one that still runs.
            let old = try page.map { try Self.decode($0.value) }.filter { ($0.ended ?? .distantFuture) < time }
            for job in old {
                try await logs.remove(job.key)
                index(of: job.person, on: job.address.backend).put(nil, for: job.key)
                replies.put(nil, for: job.key)
                jobs.put(nil, for: job.key)
            }
            removed += old.count
            if old.isEmpty || page.count < Self.pageSize { return removed }
            last = page.last?.key
        }
    }

    private static func decode(_ bytes: [UInt8]) throws -> JobRecord {
        try JSONDecoder().decode(JobRecord.self, from: Data(bytes))
    }
}
