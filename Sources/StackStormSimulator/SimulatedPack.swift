import PetrelKit
package import PetrelSupport

/// An action of the simulator.
package struct SimulatedAction: Sendable {
    /// A function that runs the action. It can write output and wait, and returns the result or throws
    /// ``SimulatedFailure``.
    package typealias Behaviour = @Sendable (_ run: SimulatedRun) async throws -> JSONValue

    package var ref: String
    /// The JSON Schema of each parameter.
    package var parameters: [String: JSONValue]
    /// The runner. StackStorm evaluates templates in the parameters of workflows, such as those of `orquesta`.
    package var runner: String
    package var behaviour: Behaviour

    package init(
        _ ref: String, parameters: [String: JSONValue] = [:], runner: String = "local-shell-cmd",
        behaviour: @escaping Behaviour
    ) {
        self.ref = ref
        self.runner = runner
        self.parameters = parameters
        self.behaviour = behaviour
    }

    var isWorkflow: Bool { ["orquesta", "action-chain"].contains(runner) }
    var pack: String { String(ref.prefix { $0 != "." }) }
    var name: String { String(ref.drop { $0 != "." }.dropFirst()) }
}

/// An execution of an action, as the action sees it.
package struct SimulatedRun: Sendable {
    package var parameters: [String: JSONValue]
    /// Writes output.
    package var write: @Sendable (String) async -> Void
    /// Waits for a duration.
    package var pause: @Sendable (Duration) async throws -> Void
    /// Creates an inquiry (`core.ask`) with the JSON Schema of the response, and waits for the response.
    package var ask: @Sendable (_ schema: JSONValue) async throws -> [String: JSONValue]

    /// Returns a parameter as text, or an empty text if it is missing.
    package func text(_ name: String) -> String {
        guard let value = parameters[name] else { return "" }
        return value.string ?? value.prettyText
    }
}

/// The error of an action that fails, with its result.
package struct SimulatedFailure: Error {
    package var result: JSONValue

    package init(stdout: String = "", stderr: String, code: Int = 1) {
        result = SimulatedFailure.shell(stdout: stdout, stderr: stderr, code: code)
    }

    static func shell(stdout: String, stderr: String = "", code: Int = 0) -> JSONValue {
        .object([
            "failed": .bool(code != 0), "succeeded": .bool(code == 0), "return_code": .integer(code),
            "stdout": .string(stdout), "stderr": .string(stderr),
        ])
    }
}

/// The aliases, in StackStorm's JSON, and the actions of a simulator.
package struct SimulatedContent: Sendable {
    package var aliases: [JSONValue]
    package var actions: [SimulatedAction]

    package init(aliases: [JSONValue], actions: [SimulatedAction]) {
        self.aliases = aliases
        self.actions = actions
    }

    package static func alias(
        _ ref: String, _ description: String, action: String, formats: [JSONValue], ack: [String: JSONValue] = [:],
        result: [String: JSONValue] = [:], isEnabled: Bool = true
    ) -> JSONValue {
        let pack = String(ref.prefix { $0 != "." })
        let name = String(ref.drop { $0 != "." }.dropFirst())
        return .object([
            "uid": .string("action_alias:\(pack):\(name)"), "metadata_file": .string("aliases/\(name).yaml"),
            "name": .string(name), "ref": .string(ref), "description": .string(description), "pack": .string(pack),
            "enabled": .bool(isEnabled), "action_ref": .string(action), "formats": .array(formats),
            "ack": .object(ack), "result": .object(result), "extra": .object([:]),
            "immutable_parameters": .object([:]),
        ])
    }
}
