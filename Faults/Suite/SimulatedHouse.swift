package import Foundation
import PetrelKit
package import PetrelTesting
package import StackStormClient
package import StackStormModule
package import StackStormSimulator

/// A simulated StackStorm, the module that connects to it, and a login desk, for tests of a backend.
package struct SimulatedHouse: Sendable {
    package let stackStorm: SimulatedStackStorm
    package let desk: TestDesk
    /// Makes the module on a host.
    package let module: @Sendable (TestHost) throws -> StackStormModule

    /// Runs the body with a new simulator and module.
    /// - Parameter page: The URL of the login page, or nil if all users act as the bot.
    package static func run(
        page: URL? = nil,
        change: @Sendable @escaping (inout StackStormModuleSettings) -> Void = { _ in },
        _ body: @Sendable @escaping (SimulatedHouse) async throws -> Void
    ) async throws {
        let stackStorm = SimulatedStackStorm()
        try await House.with(stackStorm) { client in
            let desk = TestDesk()
            var settings = StackStormModuleSettings(client: client)
            if let page { settings.access = .clientside(page) }
            change(&settings)
            let final = settings
            try await body(
                SimulatedHouse(stackStorm: stackStorm, desk: desk) { try $0.module(final, logins: desk) })
        }
    }

    /// Serves a simulator over HTTP, and runs the body with the settings of a client for it.
    package static func serve(
        _ stackStorm: SimulatedStackStorm, _ body: @Sendable @escaping (StackStormSettings) async throws -> Void
    ) async throws {
        try await House.with(stackStorm, body)
    }
}
