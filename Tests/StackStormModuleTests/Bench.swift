import FaultSuite
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// A simulated StackStorm on a real port, the module, and a recording backend.
struct Bench: Sendable {
    let backend: RecordingBackend
    let stackStorm: SimulatedStackStorm
    let module: StackStormModule
    let client: StackStormClient
    let host: TestHost

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func client(port: Int, _ change: (inout StackStormSettings) -> Void = { _ in }) throws -> StackStormSettings
    {
        let base = "http://127.0.0.1:\(port)"
        var settings = StackStormSettings(
            auth: try #require(URL(string: "\(base)/auth/v1")), api: try #require(URL(string: "\(base)/api/v1")),
            stream: try #require(URL(string: "\(base)/stream/v1")),
            login: .password(name: "petrel", password: Secret("demo")))
        change(&settings)
        return settings
    }

    /// Runs a closure with a simulator.
    static func withSimulator<Value: Sendable>(
        _ stackStorm: SimulatedStackStorm = SimulatedStackStorm(),
        _ body: @Sendable @escaping (SimulatedStackStorm, Int) async throws -> Value
    ) async throws -> Value {
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let simulator = Simulator(stackStorm, logger: logger) { found.yield($0) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await simulator.run()
            }
            defer { group.cancelAll() }
            for await port in ports { return try await body(stackStorm, port) }
            throw CancellationError()
        }
    }

    /// The options of a test.
    struct Options: Sendable {
        var content = SimulatedContent.demo
        var store: TestStore? = nil
        var policy = Dispatcher.Policy()
        var delivery = Delivery.Limits.unhurried
        var logins: (any LoginDesk)?
        var now: @Sendable () -> Date = { .now }
        /// A function that prepares StackStorm before the module starts.
        var prepare: @Sendable (SimulatedStackStorm) async -> Void = { _ in }
        var logger = Bench.logger
        var metrics = PrometheusMetrics()
        var traits = BackendTraits(threads: true, privateReplies: true)
        var client: @Sendable (inout StackStormSettings) -> Void = { _ in }
        var module: @Sendable (inout StackStormModuleSettings) -> Void = { _ in }
    }

    static func run(
        content: SimulatedContent = .demo, prefix: String = "st2", store: TestStore? = nil,
        admins: Set<String> = [], _ change: @Sendable @escaping (inout StackStormSettings) -> Void = { _ in },
        _ body: @Sendable @escaping (Bench) async throws -> Void
    ) async throws {
        var options = Options(content: content, store: store, client: change)
        options.policy.access = AccessControl(admins: admins)
        options.module = { $0.prefix = prefix }
        try await run(options, body)
    }

    /// Runs a closure like ``run``, and with the lines of the log.
    static func runWatching(
        _ body: @Sendable @escaping (Bench, LogWatch) async throws -> Void
    ) async throws {
        let watch = LogWatch()
        try await run(Options(logger: watch.logger)) { bench in try await body(bench, watch) }
    }

    /// Runs a closure after the aliases are loaded and the stream is connected.
    static func run(_ options: Options, _ body: @Sendable @escaping (Bench) async throws -> Void) async throws {
        try await withSimulator(SimulatedStackStorm(options.content)) { stackStorm, port in
            await options.prepare(stackStorm)
            var settings = StackStormModuleSettings(client: try client(port: port, options.client))
            options.module(&settings)
            let backend = RecordingBackend(traits: options.traits)
            let host = try TestHost(
                [backend], policy: options.policy, store: options.store, logger: options.logger,
                delivery: options.delivery, metrics: options.metrics)
            let module = try host.module(settings, logins: options.logins, now: options.now)
            let bench = Bench(
                backend: backend, stackStorm: stackStorm, module: module,
                client: try StackStormClient(settings.client, logger: options.logger), host: host)
            try await host.run([module]) {
                await bench.untilConnected()
                try await body(bench)
            }
        }
    }

    func untilConnected() async { await stackStorm.untilHeard() }

    /// Waits for a number of connections of the stream. The module fetches the aliases at its start and after each
    /// connection; a connection that timed out does not count.
    func untilFollowing(times: Int = 1) async {
        await stackStorm.untilRequested("GET /api/v1/user", times: times + 1)
    }

    /// Waits until no result is pending.
    func untilNothingIsOpen() async {
        while module.results.open.count > 0 { await stackStorm.untilRequestedAgain("GET /api/v1/executions") }
    }

    /// Returns the text of the next reply.
    func text() async -> String { await backend.next()?.reply.text ?? "" }
}

/// A sequence of the lines of a log.
struct LogWatch: Sendable {
    let logger: Logger
    private let lines: AsyncStream<String>

    init() {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        self.lines = lines
        logger = Logger(label: "test") { _ in CollectingLogHandler { continuation.yield($0) } }
    }

    /// Waits for a line that contains a text.
    func saw(_ text: String) async {
        for await line in lines where line.contains(text) { return }
    }
}
