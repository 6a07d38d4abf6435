package import Logging
package import PetrelSupport
package import PlugInProtocol

/// Starts a program once to ask what it is.
package enum PlugInRehearsal {
    /// The parameters of `hello` in a test.
    static func hello(_ launch: PlugInLaunch, _ role: String) -> [String: JSONValue] {
        var hello: [String: JSONValue] = [
            "protocol": 1, "petrel": "test", "role": .string(role), "name": .string(launch.name),
            "settings": launch.settings, "test": true,
        ]
        if role == "module" { hello.merge(["bot": "petrel", "prefix": "!"]) { own, _ in own } }
        return hello
    }

    /// Returns the result of `hello` for a role. Throws ``PlugInFailure``.
    package static func greeting(
        of launch: PlugInLaunch, role: String, logger: Logger
    ) async throws -> JSONValue {
        let result = Locked<JSONValue?>(nil)
        let process = PlugInProcess(launch, keepsOrder: false, logger: logger) { method, _ in
            throw RPCError(-32601, "the method \(method.prefix(40)) does not exist")
        } receive: { _, _ in
        }
        let running = Task {
            try await process.run(hello: hello(launch, role)) { greeting in
                result.withLock { $0 = greeting }
                throw CancellationError()
            }
        }
        do { try await running.value } catch { if result.value == nil { throw error } }
        return result.value ?? [:]
    }

    /// Asks a program what it is, unless that is known, and returns the result of `hello`. A module declares commands.
    /// Throws ``IntroductionFailure``.
    static func introduction(
        of launch: PlugInLaunch, as role: PlugInTest.Role?, logger: Logger
    ) async throws -> (PlugInTest.Role, JSONValue) {
        var reasons: [(role: PlugInTest.Role, reason: String)] = []
        for candidate in role.map({ [$0] }) ?? [.module, .backend] {
            do {
                let greeting = try await greeting(of: launch, role: candidate.rawValue, logger: logger)
                // Some backends do not read the role.
                if candidate == .module, role == nil, greeting["commands"] == nil { continue }
                return (candidate, greeting)
            } catch {
                reasons.append((candidate, "\(error)"))
            }
        }
        throw IntroductionFailure(reasons)
    }

    /// Returns the service for which a backend can stand in; nil for none. Throws ``PlugInFailure`` or ``RPCError``.
    package static func service(of launch: PlugInLaunch, logger: Logger) async throws -> ProcessStage.Service? {
        try ProcessStage.Service(try await greeting(of: launch, role: "backend", logger: logger))
    }
}

/// The error of a program that cannot be tested, because it does not start.
struct IntroductionFailure: Error, CustomStringConvertible {
    /// The reasons, by role.
    let description: String

    init(_ reasons: [(role: PlugInTest.Role, reason: String)]) {
        let isSame = Set(reasons.map(\.reason)).count == 1
        let texts = isSame ? [reasons[0].reason] : reasons.map { "as a \($0.role.rawValue), \($0.reason)" }
        description =
            "The program does not start: \(texts.joined(separator: "; ")). "
            + "If it needs settings or environment variables, pass them with --settings and --env."
    }
}
