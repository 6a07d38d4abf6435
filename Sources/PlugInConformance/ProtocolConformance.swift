package import Logging
import PetrelKit
import PetrelSupport
package import PetrelTesting
package import PlugInProtocol

/// The requirements of the protocol that any program must meet, backend or module.
package enum ProtocolConformance {
    /// One requirement.
    package struct Case: Sendable {
        /// The identifier, such as `protocol.ping`.
        package let id: String
        /// The requirement as a sentence.
        package let title: String
        /// True if the case asks the program to end.
        var endsProgram = false
        let run: @Sendable (ProtocolRun) async throws -> Void
    }

    /// All cases.
    package static let cases: [Case] = [
        Case(id: "protocol.ping", title: "a ping is answered") { run in
            _ = try await run.result(of: "ping")
        },
        Case(id: "protocol.pings", title: "50 requests that are sent without waiting are all answered") { run in
            try await withThrowingTaskGroup { group in
                for _ in 0..<50 { group.addTask { _ = try await run.result(of: "ping") } }
                try await group.waitForAll()
            }
        },
        Case(id: "protocol.unknown", title: "a request with an unknown method is answered with the error -32601") {
            run in
            let error = try await run.error(of: "no.such.method")
            guard error?.code == -32601 else {
                throw ConformanceFailure(
                    expected: "the error -32601 as the response to `no.such.method`", got: ProtocolRun.words(error))
            }
        },
        Case(id: "protocol.notification", title: "a notification with an unknown method is ignored") { run in
            _ = try await run.result(of: "ping")
            let isFaulty = run.process.fault != nil
            run.process.peer.notify("no.such.notification", ["a": 1])
            _ = try await run.result(of: "ping")
            if !isFaulty, let fault = run.process.fault {
                throw ConformanceFailure(
                    expected: "nothing after the notification `no.such.notification`", got: "the line \(fault)")
            }
        },
        Case(id: "protocol.parameters", title: "a request without its parameters is answered with an error") { run in
            let method = run.isModule ? "invoke" : "send"
            guard try await run.error(of: method) != nil else {
                throw ConformanceFailure(
                    expected: "an error, such as -32602, as the response to `\(method)` with the parameters `{}`",
                    got: "a result")
            }
            _ = try await run.result(of: "ping")
        },
        Case(id: "protocol.long", title: "a line of 1,000,000 bytes is read") { run in
            _ = try await run.result(of: "ping", ["padding": .string(String(repeating: "x", count: 1_000_000))])
        },
        Case(id: "protocol.output", title: "the standard output contains only messages") { run in
            _ = try await run.result(of: "ping")
            _ = try await run.error(of: "no.such.method")
            if let fault = run.process.fault {
                throw ConformanceFailure(expected: "only messages on the standard output", got: "the line \(fault)")
            }
        },
        Case(
            id: "protocol.shutdown", title: "`shutdown` is answered, and then the program ends by itself",
            endsProgram: true
        ) { run in
            _ = try await run.result(of: "shutdown")
        },
    ]

    /// Runs a case with a new process, and returns its entry for the report.
    package static func entry(
        of item: Case, _ launch: PlugInLaunch, isModule: Bool, logger: Logger
    ) async -> ConformanceReport.Entry {
        var outcome = await ProtocolRun.outcome(of: item, launch, isModule: isModule, logger: logger)
        // On a busy machine, a program can miss the time by no fault of its own.
        for _ in 0..<2 where item.endsProgram && outcome.failure != nil {
            outcome = await ProtocolRun.outcome(of: item, launch, isModule: isModule, logger: logger)
        }
        return ConformanceReport.Entry(
            id: item.id, title: item.title, outcome: outcome, page: ConformancePage.of(item.id))
    }
}
