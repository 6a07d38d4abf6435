import ArgumentParser
import CoreMetrics
import FaultSuite
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import Testing

@testable import PetrelApp

/// The command line, and the program that a catalog describes.
@Suite(.timeLimit(.minutes(30))) struct CommandLineTests {
    @Test(arguments: [
        (["demo", "--linger=-5"], "--linger must be from 0 to 86400 seconds."),
        (["demo", "--linger=9223372036854775807"], "--linger must be from 0 to 86400 seconds."),
        (
            ["plugin", "test", "--patience=9223372036854775807", "--", "x"],
            "--patience must be from 1 to 86400 seconds."
        ),
        (["run", "--linger=-5"], "--linger must be from 0 to 86400 seconds."),
        (["explain", ""], "The command line is empty: give the line to explain."),
        (["explain", " \t"], "The command line is empty: give the line to explain."),
    ]) func `an invalid argument is rejected in one sentence`(arguments: [String], problem: String) async throws {
        let petrel = try Program(arguments)
        #expect(await petrel.error(with: problem) != nil)
        #expect(await petrel.end().status == 64)
    }

    @Test func `a line that is only the prefix is not explained`() async throws {
        try await withFolder { folder in
            try Data(#"{"backends": {"text": {}}}"#.utf8).write(to: folder.appendingPathComponent("config.json"))
            let petrel = try Program(["explain", "!"], in: folder)
            #expect(await petrel.error(with: "The command line is empty") != nil)
            #expect(await petrel.end().status == 64)
        }
    }

    @Test func `the version names the commit, also if it is unknown`() async throws {
        let (status, output) = await (try Program(["--version"])).end()
        #expect(status == 0)
        #expect(try #/0\.1\.0 \(commit (unknown|[0-9a-f]{12}(-dirty)?)\)/#.wholeMatch(in: output) != nil, "\(output)")
    }

    @Test func `an output that is full is reported at the end`() async throws {
        let petrel = try Program(["-c", "exec \"$1\" demo --linger 1 >/dev/full", "sh", Program.path], of: "/bin/sh")
        petrel.type("!version")
        petrel.closeInput()
        let said = "cannot write to standard output: No space left on device; the last replies were not written"
        #expect(await petrel.error(with: said) != nil)
        #expect(await petrel.end().status == 69)
    }

    @Test func `a catalog decides the name and the abstract of the program`() {
        let catalog = Catalog(name: "puffin", abstract: "A bot for lighthouses.", backends: [], modules: [])
        Catalog.$current.withValue(catalog) {
            let help = RootCommand.helpMessage()
            #expect(help.contains("OVERVIEW: A bot for lighthouses.") && help.contains("USAGE: puffin"), "\(help)")
        }
        let usual = Catalog(backends: [], modules: [])
        #expect(usual.name == "petrel" && !usual.abstract.contains("StackStorm"))
    }

    /// A backend with a counter and a gauge.
    private struct Measured: BackendPlugIn, MetricsDescribing {
        static let kind = "measured"
        static let metricsHelp = ["measured_total": "Things that were measured."]

        init(name: String, _ section: SettingsSection, _ options: LaunchOptions) { section.finish() }

        func makeBackend(_ context: BackendContext) throws -> any ChatBackend {
            Counter(label: "measured_total", dimensions: [], factory: context.metrics).increment(by: 5)
            return MeasuredBackend()
        }
    }

    private struct MeasuredBackend: ChatBackend, GaugeReporting {
        let name = "measured"
        let traits = BackendTraits()

        func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {}

        func send(_ reply: Reply, to address: Address) async throws -> MessageReference? { nil }

        func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
            [("measured_level", [], 3)]
        }
    }

    @Test func `the metrics of a backend are reported beside those of the bot`() throws {
        let catalog = Catalog(backends: [Measured.self], modules: [])
        let configuration = try Configuration.read(["backends": ["measured": [:]]], catalog)
        let bot = try Bot.build(
            configuration, store: Store(), log: LineLogHandler.Control(level: .critical), catalog: catalog)
        bot.host.recordGauges()
        let metrics = try #require(bot.host.metrics as? PrometheusMetrics).render()
        #expect(metrics.contains("# HELP measured_total Things that were measured.\n"), "\(metrics)")
        #expect(metrics.contains("measured_total 5\n") && metrics.contains("measured_level 3.0\n"), "\(metrics)")
        #expect(metrics.contains("petrel_commands_running 0.0\n"))
    }
}
