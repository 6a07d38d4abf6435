import PetrelKit
package import PetrelSupport

/// An action as the simulator runs it: what it takes, and what happens when it runs.
package struct SimulatedAction: Sendable {
    /// What a run does: it may write output and wait, and it ends with a status and a result.
    package typealias Behaviour = @Sendable (_ run: SimulatedRun) async throws -> JSONValue

    package var ref: String
    /// The JSON schema of each parameter, as StackStorm has it.
    package var parameters: [String: JSONValue]
    /// An `orquesta` action is a workflow: what it is given is evaluated.
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

/// One run as its behaviour sees it.
package struct SimulatedRun: Sendable {
    package var parameters: [String: JSONValue]
    /// Writes a line of output while the run goes on.
    package var write: @Sendable (String) async -> Void
    /// Waits, in the simulator's time.
    package var pause: @Sendable (Duration) async throws -> Void
    /// Asks a person (`core.ask`), and waits for the answer.
    /// - Parameter schema: JSON Schema of the answer.
    package var ask: @Sendable (_ schema: JSONValue) async throws -> [String: JSONValue]

    package func text(_ name: String) -> String {
        guard let value = parameters[name] else { return "" }
        return value.string ?? value.prettyText
    }
}

/// A run that ends as `failed`, with its result.
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

/// Aliases (as StackStorm lists them) and actions.
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
