import ArgumentParser
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import StackStormClient
import StackStormModule
import StackStormSimulator
import TextBackend

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Chat with the bot and a simulated StackStorm, here in the terminal. Nothing to configure.")

    @Option(help: "Seconds that results are waited for after the end of standard input.")
    var linger = 10

    func run() async throws {
        do {
            try await withSimulator { port in
                let app = try PetrelApp.build(
                    Configuration.demo(port: port, linger: linger), store: Store(),
                    log: LineLogHandler.Control(level: .warning))
                try await app.run()
            }
        } catch {
            throw ExitStatus.of(error)
        }
    }

    private func withSimulator(_ body: (Int) async throws -> Void) async throws {
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let simulator = Simulator(SimulatedStackStorm(.demo), logger: .silent) { found.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await simulator.run()
            }
            for await port in ports {
                try await body(port)
                group.cancelAll()
                return
            }
            // No port: the simulator's own error says why.
            try await group.next()
        }
    }
}

extension Configuration {
    /// A terminal chat beside a simulated StackStorm.
    static func demo(port: Int, linger: Int) throws -> Configuration {
        guard let auth = URL(string: "http://127.0.0.1:\(port)/auth/v1"),
            let api = URL(string: "http://127.0.0.1:\(port)/api/v1"),
            let stream = URL(string: "http://127.0.0.1:\(port)/stream/v1")
        else { throw ExitStatus.software }
        let client = StackStormSettings(
            auth: auth, api: api, stream: stream, login: .password(name: "petrel", password: Secret("demo")))
        var text = TextSettings()
        text.user = "@\(NSUserName())"
        text.room = "#ops"
        text.linger = .seconds(linger)
        let settings = text
        var core = CoreSettings()
        core.access.admins = [text.user]
        let kind = BackendKind(isShared: false) { _, _, _ in
            { logger, _ in TextBackend(name: "text", settings: settings, logger: logger) }
        }
        return Configuration(
            core: core,
            backends: [
                ConfiguredBackend(name: "text", kind: kind) { logger, _ in
                    TextBackend(name: "text", settings: settings, logger: logger)
                }
            ],
            stackStorms: [StackStormModuleSettings(client: client)], warnings: [])
    }
}

struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the simulated StackStorm alone, on loopback (user petrel, password demo).")

    @Option(help: "The port; 0 lets the system choose.")
    var port = 9199

    func run() async throws {
        let simulator = Simulator(SimulatedStackStorm(.demo), port: port, logger: .silent) { port in
            print("http://127.0.0.1:\(port)")
            fflush(nil)
        }
        do {
            try await simulator.runUntilSignal()
        } catch {
            throw ExitStatus.of(error)
        }
    }
}
