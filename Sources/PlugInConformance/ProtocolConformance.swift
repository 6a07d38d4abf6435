package import Logging
import PetrelKit
import PetrelSupport
package import PetrelTesting
package import PlugInProtocol

/// The requirements of the protocol that any program must meet, backend or module.
package enum ProtocolConformance {
    private struct Case: Sendable {
        var id: String
        var title: String
        var run: @Sendable (PlugInProcess, _ isModule: Bool) async throws -> Void
    }

    private static let limit = Duration.seconds(10)

    private static let cases: [Case] = [
        Case(id: "protocol.ping", title: "A ping is answered.") { process, _ in
            _ = try await process.peer.call("ping", [:], within: limit)
        },
        Case(id: "protocol.pings", title: "Requests that are sent without waiting are all answered.") { process, _ in
            try await withThrowingTaskGroup { group in
                for _ in 0..<50 { group.addTask { _ = try await process.peer.call("ping", [:], within: limit) } }
                try await group.waitForAll()
            }
        },
        Case(id: "protocol.unknown", title: "An unknown method is answered with the error -32601.") { process, _ in
            let error = await error(of: "no.such.method", [:], process)
            guard (error as? RPCError)?.code == -32601 else { throw failure("the error -32601", error) }
        },
        Case(id: "protocol.notification", title: "An unknown notification is ignored.") { process, _ in
            process.peer.notify("no.such.notification", ["a": 1])
            _ = try await process.peer.call("ping", [:], within: limit)
        },
        Case(id: "protocol.parameters", title: "Missing parameters are answered with an error.") { process, isModule in
            let error = await error(of: isModule ? "invoke" : "send", [:], process)
            guard error is RPCError else { throw failure("an error response", error) }
            _ = try await process.peer.call("ping", [:], within: limit)
        },
        Case(id: "protocol.long", title: "A line of 1,000,000 bytes is read.") { process, _ in
            let text = JSONValue.string(String(repeating: "x", count: 1_000_000))
            _ = try await process.peer.call("ping", ["padding": text], within: limit)
        },
        Case(id: "protocol.output", title: "Standard output has nothing but messages.") { process, _ in
            _ = try await process.peer.call("ping", [:], within: limit)
            guard process.faultCount == 0 else { throw failure("no other lines", "\(process.faultCount) lines") }
        },
    ]

    /// Returns the error of a call; nil if it succeeds.
    private static func error(of method: String, _ params: JSONValue, _ process: PlugInProcess) async -> (any Error)? {
        do {
            _ = try await process.peer.call(method, params, within: limit)
            return nil
        } catch {
            return error
        }
    }

    private static func failure(_ expected: String, _ got: Any?) -> ConformanceFailure {
        ConformanceFailure(expected: expected, got: got.map { "\($0)" } ?? "a result")
    }

    /// Runs the cases, each with a new process.
    package static func run(_ launch: PlugInLaunch, isModule: Bool, logger: Logger) async -> [ConformanceReport.Entry] {
        var entries: [ConformanceReport.Entry] = []
        for item in cases {
            let outcome = await outcome(launch, isModule, logger) { try await item.run($0, isModule) }
            entries.append(ConformanceReport.Entry(id: item.id, title: item.title, outcome: outcome))
        }
        let end = await outcome(launch, isModule, logger) { _ in }
        let seconds = end.times["stop"] ?? 0
        let isQuick = end.failure != nil || seconds < 1
        entries.append(
            ConformanceReport.Entry(
                id: "protocol.shutdown", title: "The program ends within a second after `shutdown`.",
                outcome: isQuick
                    ? end : ConformanceOutcome(.failed("expected an end within 1 s, got \(seconds) s"), end.times)))
        return entries
    }

    private static func outcome(
        _ launch: PlugInLaunch, _ isModule: Bool, _ logger: Logger,
        _ body: @escaping @Sendable (PlugInProcess) async throws -> Void
    ) async -> ConformanceOutcome {
        let process = PlugInProcess(launch, keepsOrder: false, logger: logger) { _, _ in
            [:]
        } receive: { _, _ in
        }
        let hello: [String: JSONValue] = [
            "protocol": 1, "petrel": "test", "role": isModule ? "module" : "backend", "name": .string(launch.name),
            "bot": "petrel", "prefix": "!", "settings": launch.settings, "test": true,
        ]
        let result = Locked<Result<Void, any Error>?>(nil)
        let isDone = Signal()
        let running = Task {
            try await process.run(hello: hello) { _ in
                do { try await body(process) } catch { result.withLock { $0 = .failure(error) } }
                result.withLock { $0 = $0 ?? .success(()) }
                isDone.open()
            }
        }
        let early = Task {
            do { try await running.value } catch { result.withLock { $0 = $0 ?? .failure(error) } }
            isDone.open()
        }
        await isDone.wait()
        let start = ContinuousClock.now
        running.cancel()
        await early.value
        let times = ["stop": start.duration(to: .now) / .seconds(1)]
        if case .failure(let error)? = result.value { return ConformanceOutcome(.failed("\(error)"), times) }
        return ConformanceOutcome(.passed, times)
    }
}
