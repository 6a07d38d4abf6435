package import Logging
package import PetrelSupport
package import PlugInProtocol

/// Starts a program once to ask what it is.
package enum PlugInRehearsal {
    /// Returns the result of `hello` for a role. Throws ``PlugInFailure``.
    package static func greeting(
        of launch: PlugInLaunch, role: String, logger: Logger
    ) async throws -> JSONValue {
        let result = Locked<JSONValue?>(nil)
        let process = PlugInProcess(launch, keepsOrder: false, logger: logger) { method, _ in
            throw RPCError(-32601, "the method \(method.prefix(40)) does not exist")
        } receive: { _, _ in
        }
        let hello: [String: JSONValue] = [
            "protocol": 1, "petrel": "test", "role": .string(role), "name": .string(launch.name), "bot": "petrel",
            "prefix": "!", "settings": launch.settings, "test": true,
        ]
        let running = Task {
            try await process.run(hello: hello) { greeting in
                result.withLock { $0 = greeting }
                throw CancellationError()
            }
        }
        do { try await running.value } catch { if result.value == nil { throw error } }
        return result.value ?? [:]
    }

    /// Returns the service for which a backend can stand in; nil for none. Throws ``PlugInFailure`` or ``RPCError``.
    package static func service(of launch: PlugInLaunch, logger: Logger) async throws -> ProcessStage.Service? {
        let greeting = try await greeting(of: launch, role: "backend", logger: logger)
        return try greeting["test"].map { try ProcessStage.Service($0) }
    }
}
