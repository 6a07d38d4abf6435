import CoreMetrics
import Foundation
import JobEngine
import Logging
import PetrelKit
import PetrelSupport

/// Takes the output of one job: writes it to the store as it comes, and remembers the last lines.
///
/// While the store is busy or failing, the program waits. What is lost in spite of that is counted, and a line in the
/// output tells how much is missing there.
final class JobLog: OutputSink {
    private struct State: Sendable {
        var recent = RecentLines(lines: 8)
        var bytes: Int64 = 0
        /// The size at which the beginning is removed next.
        var trimAt: Int64
        /// The number of bytes that could not be stored.
        var lost: Int64 = 0
        /// The number of bytes that are missing at the end of what is stored.
        var gap: Int64 = 0
        /// True if nothing waits for the store any more, because Petrel stops.
        var hasGivenUp = false
        /// True if what is stored ends with a line feed, or is empty.
        var isAtLineStart = true
        /// The part of the output to keep if the record of the job is not kept; nil to keep everything.
        var budget: OutputBudget?
    }

    /// The number of bytes after which a failed removal of the beginning is tried again.
    private static let pause: Int64 = 1 << 20

    private let name: String
    private let logs: any LogCollection
    private let limit: Int64
    private let logger: Logger
    private let meters: JobMeters
    /// A signal that is open once Petrel stops, so that nothing waits for the store any more.
    private let isStopping: Signal
    private let state: Locked<State>

    /// Creates a log.
    /// - Parameter budget: The part of the output to keep if the record is not kept; nil to keep everything.
    init(
        _ name: String, in logs: any LogCollection, limit: Int64, _ logger: Logger, _ meters: JobMeters,
        isStopping: Signal, budget: OutputBudget? = nil
    ) {
        self.name = name
        self.logs = logs
        self.limit = limit
        self.logger = logger
        self.meters = meters
        self.isStopping = isStopping
        state = Locked(State(trimAt: limit + limit / 8, budget: budget))
    }

    /// The number of the job, for messages.
    private var number: String { JobRecord.number(of: name).map { "\($0)" } ?? name }
    /// The last lines.
    var recentText: String { state.withLock { $0.recent.text } }
    /// The number of bytes.
    var size: Int64 { state.withLock { $0.bytes } }
    /// The number of bytes that could not be stored.
    var lost: Int64 { state.withLock { $0.lost } }

    func write(_ bytes: [UInt8], from stream: ProgramStream) async {
        let (lines, isTooLong, kept) = state.withLock { state in
            let before = state.recent.lineFeeds
            state.recent.add(bytes)
            state.bytes += Int64(bytes.count)
            let kept = state.budget?.take(bytes, from: stream) ?? bytes
            return (state.recent.lineFeeds - before, state.bytes >= state.trimAt, kept)
        }
        meters.logLines.increment(by: lines)
        await keep(kept, from: stream, isTooLong: isTooLong)
    }

    /// Stores the last lines of an output of which only parts are kept, for the reply about a failure. Called when the
    /// program has ended.
    func close(_ end: ProgramEnd) async {
        let isGood = end.cause == nil && (end.status == .exited(0) || end.status == .answered(failure: nil))
        guard !isGood else { return }
        for piece in state.withLock({ $0.budget?.end ?? [] }) {
            await keep(Array(piece.bytes), from: piece.stream, isTooLong: false)
        }
    }

    private func keep(_ bytes: [UInt8], from stream: ProgramStream, isTooLong: Bool) async {
        guard !bytes.isEmpty else { return }
        do {
            try await append(bytes, stream)
            if isTooLong { await trim() }
        } catch {
            // The program goes on; its record and its output state how much is missing.
            let isFirst = state.withLock { state in
                defer {
                    state.lost += Int64(bytes.count)
                    state.gap += Int64(bytes.count)
                }
                return state.lost == 0
            }
            if isFirst { logger.error("The output of job \(number) cannot be stored: \(error)") }
        }
    }

    /// Marks the place if the end of the output is missing. Returns the number of bytes that could not be stored.
    func end() -> Int64 {
        if let mark { logs.note(mark, in: name) }
        return lost
    }

    private func append(_ bytes: [UInt8], _ stream: ProgramStream) async throws {
        if state.withLock({ $0.hasGivenUp }) { throw CancellationError() }
        if !isStopping.isOpen {
            do {
                return try await store(bytes, stream)
            } catch is CancellationError {
                // The program has ended, which cancels reading. What it has printed is stored nevertheless.
            }
        }
        do {
            try await StoreWork.run(until: isStopping) { try await self.store(bytes, stream) }
        } catch let error as CancellationError {
            // Petrel stops, and must not wait for each further part of the output.
            state.withLock { $0.hasGivenUp = true }
            throw error
        }
    }

    private func store(_ bytes: [UInt8], _ stream: ProgramStream) async throws {
        if let mark {
            try await logs.append(Array(mark.utf8), stream: LogPart.remarks, to: name)
            state.withLock { state in
                state.gap = 0
                state.isAtLineStart = true
            }
        }
        try await logs.append(bytes, stream: stream.rawValue, to: name)
        let isAtLineStart = bytes.last == UInt8(ascii: "\n")
        state.withLock { $0.isAtLineStart = isAtLineStart }
    }

    /// The line that tells how much is missing at the end of what is stored; nil if nothing is.
    private var mark: String? {
        let state = state.value
        guard state.gap > 0 else { return nil }
        return "\(state.isAtLineStart ? "" : "\n")[\(Self.loss(state.gap))]\n"
    }

    /// Returns the clause that tells how much of an output is missing.
    static func loss(_ bytes: Int64) -> String {
        "\(bytes) byte\(bytes == 1 ? "" : "s") of the output could not be stored"
    }

    /// Removes the beginning of an output that is too long.
    private func trim() async {
        do {
            try await logs.trim(name, toBytes: limit)
            state.withLock { $0.trimAt = $0.bytes + limit / 8 }
        } catch {
            state.withLock { $0.trimAt = $0.bytes + Self.pause }
            logger.warning("The beginning of the output of job \(number) cannot be removed: \(error)")
        }
    }
}
