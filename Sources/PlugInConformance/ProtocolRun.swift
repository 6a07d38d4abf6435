import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInProtocol

/// A run of a program for one case of ``ProtocolConformance``.
struct ProtocolRun: Sendable {
    let process: PlugInProcess
    let isModule: Bool

    private static var limit: Duration { ConformancePatience.limit }

    /// Sends a request, and returns the result. Throws ``ConformanceFailure`` for any other response.
    func result(of method: String, _ params: JSONValue = [:]) async throws -> JSONValue {
        do {
            return try await process.peer.call(method, params, within: Self.limit)
        } catch {
            throw Self.failure(expected: "a result of `\(method)` within \(Self.limit.inWords)", error)
        }
    }

    /// Sends a request without parameters, and returns the error of the response; nil for a result. Throws
    /// ``ConformanceFailure`` if there is no response.
    func error(of method: String) async throws -> RPCError? {
        do {
            _ = try await process.peer.call(method, [:], within: Self.limit)
            return nil
        } catch let error as RPCError {
            return error
        } catch {
            throw Self.failure(expected: "a response to `\(method)` within \(Self.limit.inWords)", error)
        }
    }

    private static func failure(expected: String, _ error: any Error) -> ConformanceFailure {
        let got =
            switch error {
            case let error as RPCError: words(error)
            case let failure as RPCPeer.Failure: "nothing: the program \(failure.clause)"
            default: "\(error)"
            }
        return ConformanceFailure(expected: expected, got: got)
    }

    /// Returns a response as words for a report; nil stands for a result.
    static func words(_ error: RPCError?) -> String {
        error.map { "the error \($0.code): \($0.message)" } ?? "a result"
    }
}

extension ProtocolRun {
    /// Starts the program, runs a case, and ends the program.
    static func outcome(
        of item: ProtocolConformance.Case, _ launch: PlugInLaunch, isModule: Bool, logger: Logger
    ) async -> ConformanceOutcome {
        let process = PlugInProcess(launch, keepsOrder: isModule, logger: logger) { method, _ in
            try answer(method, isModule)
        } receive: { _, _ in
        }
        let isReady = Signal()
        let running = Task {
            defer { isReady.open() }
            try await process.run(hello: PlugInRehearsal.hello(launch, isModule ? "module" : "backend")) { _ in
                isReady.open()
            }
        }
        await isReady.wait()
        var failure: ConformanceFailure?
        do { try await item.run(ProtocolRun(process: process, isModule: isModule)) } catch {
            failure = ConformanceFailure(error)
        }
        let start = ContinuousClock.now
        running.cancel()
        let result = await running.result
        let times = ["stop": start.duration(to: .now) / .seconds(1)]
        failure = failure ?? Self.failure(of: item, result, process)
        return ConformanceOutcome(failure.map { .failed($0) } ?? .passed, times)
    }

    /// Returns the failure of a program that did not end as it should.
    private static func failure(
        of item: ProtocolConformance.Case, _ result: Result<Void, any Error>, _ process: PlugInProcess
    ) -> ConformanceFailure? {
        if item.endsProgram {
            guard process.neededSignal else { return nil }
            return ConformanceFailure(
                expected: "the program to end within a second, when its standard input ends",
                got: "a program that had to be ended with SIGTERM")
        }
        guard case .failure(let error as PlugInFailure) = result else { return nil }
        return ConformanceFailure(
            expected: "the program to run until `shutdown`", got: "a program that \(error.reason)")
    }

    /// Answers a request of the program like a Petrel that keeps no records and shows messages to nobody.
    private static func answer(_ method: String, _ isModule: Bool) throws -> JSONValue {
        switch (method, isModule) {
        case ("deliver", false): [:]
        case ("records.get", true): ["value": .null]
        case ("records.all", true): ["records": [:]]
        case ("say", true), ("replace", true), ("tell_admins", true), ("commands", true), ("records.set", true),
            ("records.remove", true):
            [:]
        default: throw RPCError(-32601, "the method \(Printable.line(String(method.prefix(40)))) does not exist")
        }
    }
}
