import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient
import Testing

@testable import StackStormSimulator

/// Tests that the simulator responds to the recorded requests with the same status and shape as StackStorm.
@Suite struct ContractTests {
    /// The recordings that the simulator does not support, with the reasons.
    static let left: [(prefix: String, reason: String)] = [
        ("apikey", "API keys are managed with StackStorm's own tools"),
        ("rbac_apikey", "API keys are managed with StackStorm's own tools"),
        ("down_", "a service that is down does not respond"),
        ("alias_list_direct_9101", "requested without nginx, under another path"),
        ("auth_token_direct_9100", "requested without nginx, under another path"),
        ("auth_token_no_version_prefix", "requested under another path"),
        ("api_token_second_use_after_expiry_direct", "requested without nginx, under another path"),
        ("api_head", "a HEAD request, which Petrel never sends"), ("api_options", "a preflight request of a browser"),
        ("api_cookie_token", "a cookie of the web UI"), ("api_index", "a page for browsers"),
        ("nginx_405", "a response of nginx"), ("auth_sso", "for browsers"), ("auth_token_impersonate", "for services"),
        ("auth_token_other_user", "for services"), ("auth_token_same_user", "for services"),
        ("execution_direct", "Petrel starts executions through aliases only"),
        ("execution_core_announcement", "Petrel starts executions through aliases only"),
        ("execution_post_message", "Petrel starts executions through aliases only"),
        ("execution_rerun", "Petrel runs the alias again"), ("execution_put_cancel", "Petrel cancels with DELETE"),
        ("execution_attribute", "a part that Petrel reads with the whole execution"),
        ("execution_children", "a part that Petrel never reads"),
        ("execution_result", "a part that Petrel reads with the whole execution"),
        ("execution_done_big_result", "a part that Petrel reads with the whole execution"),
    ]

    static let replayed = RecordedExchange.all.filter { exchange in
        !left.contains { exchange.name.hasPrefix($0.prefix) }
    }

    @Test(arguments: replayed) func `the simulator responds as StackStorm did`(exchange: RecordedExchange) async throws
    {
        let stackStorm = try await Self.stackStorm(for: exchange)
        // The requests with RBAC were recorded without nginx.
        let prefix = exchange.name.hasPrefix("rbac_") ? "/api" : ""
        let answer = await stackStorm.answer(
            SimulatedRequest(
                method: exchange.method, target: prefix + exchange.target, headers: exchange.requestHeaders,
                body: exchange.requestBody))
        #expect(answer.status == exchange.response.status, "\(Self.text(answer))")
        guard answer.status == exchange.response.status, case .bytes(let bytes) = answer.body,
            let expected = try? JSONValue.parse(exchange.response.body)
        else { return }
        let found = try JSONValue.parse(bytes)
        Self.compare(found, expected, at: exchange.name)
    }

    private static func text(_ answer: SimulatedAnswer) -> String {
        if case .bytes(let bytes) = answer.body { String(decoding: bytes.prefix(300), as: UTF8.self) } else { "" }
    }

    /// Compares the keys and the types of values with the recording, except for the free parts.
    private static func compare(_ found: JSONValue, _ expected: JSONValue, at place: String) {
        switch (found, expected) {
        case (.object(let found), .object(let expected)):
            for (key, value) in expected where !free.contains(key) {
                guard let other = found[key] else {
                    Issue.record("\(place).\(key) is missing")
                    continue
                }
                compare(other, value, at: "\(place).\(key)")
            }
        case (.array(let found), .array(let expected)):
            if let one = found.first, let other = expected.first { compare(one, other, at: "\(place)[0]") }
        case (_, .null), (.null, _): break
        default: #expect(found.typeName == expected.typeName, "\(place)")
        }
    }

    /// The fields that depend on the action, the host or the database, and those that Petrel never reads.
    private static let free: Set = [
        "parameters", "result", "runner", "runner_info", "liveaction", "context", "log", "action", "schema", "ack",
        "extra",
        "response", "metadata", "task_execution", "result_size", "elapsed_seconds", "children", "parent", "delay",
        "conflict-id", "notify",
        "description", "workflow_execution", "trigger_instance", "rule", "end_timestamp", "location", "display",
    ]

    /// The parameters of each action, from the recorded executions.
    private static let recordedSchemas: [String: [String: JSONValue]] = {
        var schemas: [String: [String: JSONValue]] = [:]
        for exchange in RecordedExchange.all {
            let json = try? JSONValue.parse(exchange.response.body)
            for action in [json?["execution"]?["action"], json?["results"]?.array?.first?["execution"]?["action"]] {
                if let ref = action?["ref"]?.string { schemas[ref] = action?["parameters"]?.object ?? [:] }
            }
        }
        return schemas
    }()

    /// Returns a simulator with the state that the recorded StackStorm had at the time of a request.
    private static func stackStorm(for exchange: RecordedExchange) async throws -> SimulatedStackStorm {
        let list = try JSONValue.parse(RecordedExchange.named("alias_list_limit_minus1").response.body).array ?? []
        let actions = recordedSchemas.map { ref, parameters in
            SimulatedAction(ref, parameters: parameters) { _ in ["stdout": "done"] }
        }
        let stackStorm = SimulatedStackStorm(
            SimulatedContent(aliases: list, actions: actions),
            users: [.init(name: "st2admin", password: "Ch@ngeMe"), .init(name: "bot", password: "bot")])
        try await stackStorm.remember(exchange)
        if exchange.name.hasPrefix("rbac_") { await stackStorm.takeRoles() }
        return stackStorm
    }
}

extension SimulatedStackStorm {
    /// Removes all roles of the bot, as in the recordings with RBAC.
    fileprivate func takeRoles() {
        users = [User(name: "bot", password: "bot", hasNoRole: true)]
        for token in tokens.keys { tokens[token]?.user = "bot" }
    }

    /// Copies credentials, aliases, executions and inquiries from a recording.
    fileprivate func remember(_ exchange: RecordedExchange) throws {
        let fault = (try? JSONValue.parse(exchange.response.body))?["faultstring"]?.string ?? ""
        try rememberCredentials(exchange, fault)
        let parts = exchange.path.split(separator: "/").map(String.init)
        guard parts.count >= 2 else { return try rememberAliases(exchange) }
        try rememberAliases(exchange)
        guard exchange.response.status != 404 else { return }
        switch parts[0] {
        case "executions": rememberExecution(parts[1], isRunning: exchange.name == "execution_cancel")
        case "inquiries":
            rememberExecution(parts[1], isRunning: false)
            if fault.contains("not an inquiry") { return }
            let schema: JSONValue = [
                "type": "object", "properties": ["approved": ["type": "boolean", "required": true]],
            ]
            executions[parts[1]]?["parameters"] = ["schema": schema, "route": "errbot"]
            inquiries[parts[1]] = fault.contains("already")
        case "actionalias" where exchange.response.status < 400 && parts[1].count == 24:
            if !aliases.contains(where: { $0["id"]?.string == parts[1] }) {
                aliases.append(
                    SimulatedContent.alias("a.seed", "", action: "core.echo", formats: ["seed"]).with(
                        "id", .string(parts[1])))
            }
        default: break
        }
    }

    private func rememberAliases(_ exchange: RecordedExchange) throws {
        if exchange.response.status == 500, exchange.name.contains("while_") {
            aliases.append(SimulatedContent.alias("a.bad", "", action: "core.echo", formats: ["bad ( {{ x }}"]))
        }
        if exchange.name == "alias_create_conflict", let body = try JSONValue.parse(exchange.requestBody).object {
            let ref = "\(body["pack"]?.string ?? "").\(body["name"]?.string ?? "")"
            aliases.append(SimulatedContent.alias(ref, "", action: "core.echo", formats: ["seed"]))
        }
    }

    private func rememberExecution(_ id: String, isRunning: Bool) {
        let action = SimulatedAction("core.echo") { _ in .null }
        var execution = record(id, action, [:], context: [:])
        execution["status"] = isRunning ? "running" : "succeeded"
        execution["end_timestamp"] = execution["start_timestamp"]
        save(execution, id)
        if isRunning { runs[id] = Task {} }
    }

    private func rememberCredentials(_ exchange: RecordedExchange, _ fault: String) throws {
        let isKnown = exchange.response.status != 401
        let basic = (exchange.requestHeaders["authorization"] ?? "").split(separator: " ")
        if isKnown, basic.count == 2, let data = Data(base64Encoded: String(basic[1])) {
            let pair = String(decoding: data, as: UTF8.self).split(separator: ":", maxSplits: 1).map(String.init)
            users.append(User(name: pair[0], password: pair[1]))
        }
        let query = SimulatedRequest(method: "GET", target: exchange.target).query
        if isKnown, let key = exchange.requestHeaders["st2-api-key"] ?? query["st2-api-key"] { apiKeys[key] = "bot" }
        if let token = exchange.requestHeaders["x-auth-token"] ?? query["x-auth-token"] {
            if isKnown || fault.contains("expired") {
                tokens[token] = TokenState(user: "st2admin", expiry: isKnown ? .distantFuture : .distantPast)
            }
        }
    }
}

extension JSONValue {
    fileprivate func with(_ key: String, _ value: JSONValue) -> JSONValue {
        var object = object ?? [:]
        object[key] = value
        return .object(object)
    }
}
