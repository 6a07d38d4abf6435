import CoreMetrics
import Foundation
import JobEngine
import Logging
import PetrelKit
import PetrelSupport

/// Takes the output of one job: writes it to the store as it comes, and remembers the last lines.
final class JobLog: OutputSink {
    private struct State: Sendable {
        var recent = RecentLines(lines: 8)
        var bytes: Int64 = 0
        /// The size at which the beginning is removed next.
        var trimAt: Int64
        /// The number of bytes that could not be stored.
        var lost: Int64 = 0
    }

    private let name: String
    private let logs: any LogCollection
    private let limit: Int64
    private let logger: Logger
    private let meters: JobMeters
    private let state: Locked<State>

    init(_ name: String, in logs: any LogCollection, limit: Int64, _ logger: Logger, _ meters: JobMeters) {
        self.name = name
        self.logs = logs
        self.limit = limit
        self.logger = logger
        self.meters = meters
        state = Locked(State(trimAt: limit + limit / 8))
    }

    /// The last lines.
    var recentText: String { state.withLock { $0.recent.text } }
    /// The number of bytes.
    var size: Int64 { state.withLock { $0.bytes } }
    /// The number of bytes that could not be stored.
    var lost: Int64 { state.withLock { $0.lost } }

    func write(_ bytes: [UInt8], from stream: ProgramStream) async {
        let (lines, isTooLong) = state.withLock { state in
            let before = state.recent.lineFeeds
            state.recent.add(bytes)
            state.bytes += Int64(bytes.count)
            let isTooLong = state.bytes >= state.trimAt
            if isTooLong { state.trimAt = state.bytes + limit / 8 }
            return (state.recent.lineFeeds - before, isTooLong)
        }
        meters.logLines.increment(by: lines)
        do {
            try await logs.append(bytes, stream: stream.rawValue, to: name)
            if isTooLong { try await logs.trim(name, toBytes: limit) }
        } catch {
            // The program goes on; its record states how much is missing.
            let isFirst = state.withLock { state in
                defer { state.lost += Int64(bytes.count) }
                return state.lost == 0
            }
            if isFirst { logger.error("The output of job \(name) cannot be stored: \(error)") }
        }
    }
}
