import JobEngine
import PetrelSupport

/// Collects the end of an output, and counts all of it.
final class RecordingSink: OutputSink {
    struct Output: Sendable {
        var tail: [UInt8] = []
        var counts: [ProgramStream: Int] = [:]
        var chunks: [(ProgramStream, [UInt8])] = []
    }

    private let state = Locked(Output())
    private let arrival = Locked(Signal())
    private let keeps: Int

    /// - Parameter keeps: the number of bytes that are kept.
    init(keeps: Int = 1 << 16) { self.keeps = keeps }

    var output: Output { state.value }
    var text: String { String(decoding: state.value.tail, as: UTF8.self) }

    func write(_ bytes: [UInt8], from stream: ProgramStream) async {
        state.withLock { state in
            state.counts[stream, default: 0] += bytes.count
            state.tail = Array((state.tail + bytes).suffix(keeps))
            if state.chunks.count < 100 { state.chunks.append((stream, Array(bytes.prefix(keeps)))) }
        }
        arrival.withLock { arrival in
            defer { arrival = Signal() }
            return arrival
        }.open()
    }

    /// Waits until the output contains a text.
    func wait(for text: String) async {
        while true {
            let arrival = arrival.value
            if self.text.contains(text) { return }
            await Signal.wait(for: arrival, atMost: .seconds(240))
        }
    }
}

extension Program {
    /// A shell script with the environment of the tests.
    static func shell(_ script: String, timeout: Duration? = nil) -> Program {
        Program("sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], timeout: timeout)
    }
}
