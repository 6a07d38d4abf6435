package import Foundation
package import Logging
package import PetrelCore
package import PetrelKit
package import PetrelTesting
package import StackStormModule

extension TestHost {
    /// Makes a module of StackStorm on this host.
    package func module(
        _ settings: StackStormModuleSettings, logins: (any LoginDesk)? = nil,
        now: @escaping @Sendable () -> Date = { .now }
    ) throws -> StackStormModule {
        try StackStormModule(settings, host: access(for: settings.name), logins: logins, now: now)
    }

    /// Returns a host whose texts do not depend on the speed of the machine.
    package static func unhurried(
        _ backend: any ChatBackend, _ policy: Dispatcher.Policy = Dispatcher.Policy(), store: TestStore? = nil,
        logger: Logger? = nil
    ) throws -> TestHost {
        try TestHost([backend], policy: policy, store: store, logger: logger, delivery: .unhurried)
    }
}
