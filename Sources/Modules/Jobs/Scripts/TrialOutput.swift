import JobEngine
import PetrelKit
import PetrelSupport

/// Keeps the beginning of standard output, and passes standard error through, line by line.
final class TrialOutput: OutputSink {
    private struct State: Sendable {
        var output: [UInt8] = []
        var isCut = false
        /// A line that has not ended yet.
        var line: [UInt8] = []
        /// The number of bytes of standard error.
        var errors = 0
    }

    /// The length at which a line is passed on without its end.
    private static let longestLine = 4_096

    private let limit: Int
    private let state = Locked(State())

    init(_ limit: Int) { self.limit = limit }

    /// The beginning of the output.
    var output: [UInt8] { state.withLock { $0.output } }
    /// True if the output is longer.
    var isCut: Bool { state.withLock { $0.isCut } }

    func write(_ bytes: [UInt8], from stream: ProgramStream) async {
        let lines = state.withLock { state -> [UInt8] in
            guard stream == .error else {
                state.output += bytes.prefix(limit - state.output.count)
                state.isCut = state.isCut || state.output.count == limit
                return []
            }
            if state.errors >= limit { return [] }
            state.errors += bytes.count
            state.line += bytes
            let isLast = state.errors >= limit
            guard
                let end = state.line.lastIndex(of: 0x0A)
                    ?? (state.line.count > Self.longestLine || isLast ? state.line.count - 1 : nil)
            else { return [] }
            defer { state.line.removeFirst(end + 1) }
            return state.line[...end] + Array((isLast ? "\n… (the rest of standard error)\n" : "").utf8)
        }
        Self.show(lines)
    }

    /// Passes on a line that has not ended.
    func finish() {
        Self.show(
            state.withLock { state in
                defer { state.line = [] }
                return state.line
            })
    }

    private static func show(_ lines: [UInt8]) {
        guard !lines.isEmpty else { return }
        let text = String(decoding: lines.last == 0x0A ? lines.dropLast() : lines[...], as: UTF8.self)
        StandardStream.error.write(Printable.text(text) + "\n", within: .seconds(2))
    }
}
