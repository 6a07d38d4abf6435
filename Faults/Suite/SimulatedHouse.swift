package import Foundation
package import Logging
import PetrelKit
package import PetrelTesting
import StackStormClient
package import StackStormModule
package import StackStormSimulator

/// A simulated StackStorm, the module that talks to it, and a desk where people log in: what tests of a backend put it
/// beside.
package struct SimulatedHouse: Sendable {
    package let stackStorm: SimulatedStackStorm
    package let desk: TestDesk
    package let module: StackStormModule

    /// - Parameter page: where people log in, where each acts as themselves.
    package static func run(
        page: URL? = nil, logger: Logger, change: @Sendable (inout StackStormModuleSettings) -> Void = { _ in },
        _ body: @Sendable @escaping (SimulatedHouse) async throws -> Void
    ) async throws {
        let stackStorm = SimulatedStackStorm()
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let simulator = Simulator(stackStorm, logger: logger) { found.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await simulator.run()
            }
            defer { group.cancelAll() }
            for await port in ports {
                let desk = TestDesk()
                var settings = StackStormModuleSettings(client: try client(port))
                if let page { settings.access = .clientside(page) }
                change(&settings)
                let module = try StackStormModule(settings, logger: logger, logins: desk)
                return try await body(SimulatedHouse(stackStorm: stackStorm, desk: desk, module: module))
            }
            throw Refusal("the simulated StackStorm did not start")
        }
    }

    private static func client(_ port: Int) throws -> StackStormSettings {
        func address(_ path: String) throws -> URL {
            guard let url = URL(string: "http://127.0.0.1:\(port)\(path)") else { throw Refusal("no address") }
            return url
        }
        return StackStormSettings(
            auth: try address("/auth/v1"), api: try address("/api/v1"), stream: try address("/stream/v1"),
            login: .password(name: "petrel", password: Secret("demo")))
    }
}
