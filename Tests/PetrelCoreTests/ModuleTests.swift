import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite(.timeLimit(.minutes(20))) struct ModuleTests {
    private struct Failure: Error {}

    /// A module whose background task fails twice.
    private struct Failing: BotModule {
        let name = "failing"
        let runs = Locked(0)
        let holds = Signal()

        var commands: [Command] {
            [Command("runs", summary: "Count the starts.") { _ in Reply("\(runs.value)") }]
        }

        func run() async throws {
            let count = runs.withLock { runs in
                runs += 1
                return runs
            }
            if count < 3 { throw Failure() }
            holds.open()
            await Signal().wait()
        }
    }

    @Test func `a module that fails is restarted, and its commands remain available`() async throws {
        let backend = RecordingBackend()
        let module = Failing()
        try await TestHost([backend]).run([module]) {
            await module.holds.wait()
            backend.type("!runs")
            #expect(await backend.next()?.reply.text == "3")
        }
    }

    /// A module that fails at once, and from the fifth run on after a minute.
    private struct Unsteady: BotModule {
        let name = "unsteady"
        let commands: [Command] = []
        let clock: HastyClock
        let runs = Locked(0)

        func run() async throws {
            let count = runs.withLock { runs in
                runs += 1
                return runs
            }
            if count == 5 { clock.advance(by: .seconds(60)) }
            if count < 7 { throw Failure() }
        }
    }

    @Test func `the pause before a restart is short again after a long run`() async throws {
        let clock = HastyClock()
        let lines = Locked<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingLogHandler(lines) }
        let service = ModuleService(Unsteady(clock: clock), readiness: Signal(), logger: logger, clock: clock)
        let running = Task { try await service.run() }
        while clock.sleeps.value.count < 6 { await Task.yield() }
        running.cancel()
        try await running.value
        let pauses = clock.sleeps.value
        // The nominal pauses are 0.5, 1, 2, 4, 0.5 and 1 s, of which at least the half is waited.
        #expect(pauses[3] > .seconds(1.9) && pauses[4] <= .seconds(0.5) && pauses[5] <= .seconds(1), "\(pauses)")
        #expect(lines.value[0].contains(#/It restarts in 0\.[2-5] s\./#), "\(lines.value[0])")
    }

    /// A module and a backend with a route and a gauge.
    private struct Measured: BotModule, WebRoutes, GaugeReporting {
        let name = "measured"
        let commands: [Command] = []

        var routes: [WebRoute] {
            [
                WebRoute(.post, "/measured", bodyLimit: 3) { .text("\($0.body.count)") }
                    .refusing { $0.query.isEmpty ? nil : .text("no query", status: 400) }
            ]
        }

        func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
            [("measured_level", [("part", name)], 7)]
        }
    }

    private struct MeasuredBackend: ChatBackend, WebRoutes, GaugeReporting {
        let name = "backend"
        let traits = BackendTraits()
        let routes = [WebRoute(.get, "/backend") { _ in .text("here") }]

        func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {}

        func send(_ reply: Reply, to address: Address) async throws -> MessageReference? { nil }

        func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
            [("backend_level", [], 3)]
        }
    }

    @Test func `the routes and the gauges of modules and backends are served`() async throws {
        let host = try TestHost([MeasuredBackend()])
        try await host.run([Measured()]) {
            #expect(await host.request(.post, "/measured", WebRequest(body: [1, 2])).body == Array("2\n".utf8))
            #expect(await host.request(.post, "/measured", WebRequest(query: "x=1")).status == 400)
            #expect(await host.request(.post, "/measured", WebRequest(body: [1, 2, 3, 4])).status == 413)
            #expect(await host.request(.get, "/measured").status == 404)
            #expect(await host.request(.get, "/backend").body == Array("here\n".utf8))
            let gauges = host.gauges().map { "\($0.name) \($0.labels.map(\.1)) \($0.value)" }
            #expect(gauges.contains(#"measured_level ["measured"] 7.0"#), "\(gauges)")
            #expect(gauges.contains("backend_level [] 3.0"), "\(gauges)")
            #expect(gauges.contains("petrel_commands_running [] 0.0"), "\(gauges)")
        }
    }
}
