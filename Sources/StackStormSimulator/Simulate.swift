package import ArgumentParser
import Foundation
import Logging
package import PetrelKit
package import PetrelSupport

/// The command that runs only the simulated StackStorm.
package struct Simulate: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        abstract: "Run the simulated StackStorm on the loopback interface (user petrel, password demo).")

    @Option(help: "The TCP port; 0 lets the system choose one.")
    var port = 9199

    package init() {}

    package func validate() throws {
        guard (0...65_535).contains(port) else {
            throw ValidationError("--port must be a whole number from 0 to 65535.")
        }
    }

    package func run() async throws {
        try await Simulator(SimulatedStackStorm(.demo), port: port, logger: .silent) { port in
            print("http://127.0.0.1:\(port)")
            fflush(nil)
        }.runUntilSignal()
    }
}

/// The simulated StackStorm of `petrel demo`.
package enum SimulatorDemo: DemoPart {
    package static func run(
        _ options: LaunchOptions, _ body: @Sendable ([String: JSONValue]) async throws -> Void
    ) async throws {
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let simulator = Simulator(SimulatedStackStorm(.demo), logger: .silent) { found.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await simulator.run()
            }
            for await port in ports {
                try await body(["stackstorm": section(port)])
                group.cancelAll()
                return
            }
            // The simulator did not start: its error is thrown here.
            try await group.next()
        }
    }

    private static func section(_ port: Int) -> JSONValue {
        let base = "http://127.0.0.1:\(port)"
        return [
            "auth_url": .string("\(base)/auth/v1"), "api_url": .string("\(base)/api/v1"),
            "stream_url": .string("\(base)/stream/v1"),
            "api_auth": ["user": ["name": "petrel", "password": "demo"]],
        ]
    }
}

extension Logger {
    fileprivate static let silent = Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() }
}
