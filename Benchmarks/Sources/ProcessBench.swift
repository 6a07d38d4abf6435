import Foundation
import PetrelKit
import PetrelTesting
import PlugInProtocol
import ProcessModule

/// A command of a program beside the same command in Swift, from the message to the reply.
extension Bench {
    static func processResults() async throws -> [Measure] {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../echo.py").standardized.path
        let launch = PlugInLaunch(name: "program", command: ["python3", script], folder: "/")
        let backend = RecordingBackend()
        return try await TestHost([backend]).run({ [ProcessModule(launch, $0.access(for: "program")), Echo()] }) {
            var results: [Measure] = []
            for (name, command) in [("a program", "process-echo"), ("Swift", "echo")] {
                results.append(
                    Measure(
                        name: "command in \(name), one after the other",
                        value: try await latency(of: command, on: backend) * 1_000, unit: "ms"))
                results.append(
                    Measure(
                        name: "command in \(name), 100 at once",
                        value: try await throughput(of: command, on: backend), unit: "a second"))
            }
            return results
        }
    }

    /// Returns the median time of a command, in seconds.
    private static func latency(of command: String, on backend: RecordingBackend) async throws -> Double {
        var times: [Double] = []
        for number in 0..<1_000 {
            let start = ContinuousClock.now
            backend.type("!\(command) \(number)", as: "@p\(number % 50)", in: "#r\(number % 50)")
            try await expectNumber(backend)
            times.append(start.duration(to: .now) / .seconds(1))
        }
        return times.sorted()[times.count / 2]
    }

    /// Returns the number of commands per second, with 100 commands at once.
    private static func throughput(of command: String, on backend: RecordingBackend) async throws -> Double {
        let start = ContinuousClock.now
        for first in stride(from: 0, to: 5_000, by: 100) {
            for number in first..<(first + 100) {
                backend.type("!\(command) \(number)", as: "@p\(number % 50)", in: "#r\(number % 50)")
            }
            for _ in 0..<100 { try await expectNumber(backend) }
        }
        return 5_000 / (start.duration(to: .now) / .seconds(1))
    }

    /// Waits for a reply. Throws ``Refusal`` if it is not what a line of the benchmarks contained.
    static func expectNumber(_ backend: RecordingBackend) async throws {
        let reply = await backend.next()?.reply.text ?? ""
        guard Int(reply) != nil else { throw Refusal("the reply is “\(reply.prefix(200))”") }
    }
}
