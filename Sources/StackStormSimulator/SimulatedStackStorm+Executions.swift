import Foundation
import PetrelKit
package import PetrelSupport

extension SimulatedStackStorm {
    /// The recipient of the announcement of a result, for the notify rule.
    struct Notice: Sendable {
        var user: String
        var channel: String
        var route: String
        var context: JSONValue
        var alias: JSONValue
    }

    func record(
        _ id: String, _ action: SimulatedAction, _ parameters: [String: JSONValue], context: [String: JSONValue],
        runner: String? = nil, notify: [String: JSONValue] = [:]
    ) -> [String: JSONValue] {
        let runner = runner ?? action.runner
        let now = JSONValue.string(timestamp())
        // StackStorm masks secret parameters in the same way.
        let parameters = Dictionary(
            uniqueKeysWithValues: parameters.map { name, value in
                (name, action.parameters[name]?["secret"]?.bool == true ? "********" : value)
            })
        return [
            "id": .string(id), "status": "requested", "start_timestamp": now, "parameters": .object(parameters),
            "context": .object(context), "log": [["timestamp": now, "status": "requested"]],
            "web_url": .string("http://127.0.0.1/#/history/\(id)/general"),
            "action": [
                "ref": .string(action.ref), "pack": .string(action.pack), "name": .string(action.name),
                "uid": .string("action:\(action.pack):\(action.name)"), "enabled": true, "runner_type": .string(runner),
                "parameters": .object(action.parameters), "description": "", "entry_point": "", "tags": [],
                "metadata_file": "", "notify": .object([:]), "output_schema": .object([:]), "id": .string(id),
            ],
            "runner": ["name": .string(runner), "enabled": true, "id": .string(id)],
            "liveaction": [
                "action": .string(action.ref), "parameters": .object(parameters), "id": .string(newID()),
                "action_is_workflow": false, "callback": .object([:]), "runner_info": .object([:]),
                "notify": notify.isEmpty ? .object([:]) : ["on-complete": ["data": .object(notify)]],
            ],
        ]
    }

    func save(_ execution: [String: JSONValue], _ id: String) {
        executions[id] = execution
        order.append(id)
        while order.count > 20_000 { executions[order.removeFirst()] = nil }
    }

    /// Runs an action in a task, and announces its result.
    func begin(_ id: String, _ action: SimulatedAction, _ parameters: [String: JSONValue], _ notice: Notice) {
        let datastore = datastore
        let run = SimulatedRun(
            parameters: parameters,
            write: { text in await self.write(text, of: id, action.ref) },
            pause: { try await Task.sleep(for: $0) }, ask: { try await self.answer(to: $0, from: id) })
        runs[id] = Task {
            self.executions[id]?["status"] = "running"
            do {
                var run = run
                if action.isWorkflow {
                    run.parameters = try run.parameters.mapValues { try Expression.rendered($0, datastore) }
                }
                let result = try await action.behaviour(run)
                self.finish(id, "succeeded", result, notice)
            } catch let failure as SimulatedFailure {
                self.finish(id, "failed", failure.result, notice)
            } catch is CancellationError {
                self.finish(id, "canceled", ["stdout": "", "stderr": ""], notice)
            } catch {
                self.finish(id, "failed", ["error": .string("\(error)")], notice)
            }
        }
    }

    /// Creates an inquiry of an execution and returns the response.
    private func answer(to schema: JSONValue, from run: String) async throws -> [String: JSONValue] {
        let (answers, continuation) = AsyncStream.makeStream(of: [String: JSONValue].self)
        let id = ask(schema, of: run)
        asking[id] = continuation
        for await answer in answers { return answer }
        withdraw(id)
        throw CancellationError()
    }

    private func write(_ text: String, of id: String, _ ref: String) {
        outputs[id, default: ""] += text
        publish(
            "st2.execution.output__create",
            [
                "execution_id": .string(id), "action_ref": .string(ref), "runner_ref": "local-shell-cmd",
                "timestamp": .string(timestamp()), "output_type": "stdout", "data": .string(text),
                "id": .string(newID()),
            ])
    }

    private func finish(_ id: String, _ status: String, _ result: JSONValue, _ notice: Notice) {
        runs[id] = nil
        guard var execution = executions[id] else { return }
        execution["status"] = .string(status)
        execution["end_timestamp"] = .string(timestamp())
        execution["result"] = result
        executions[id] = execution
        if outputs[id] == nil, let text = result["stdout"]?.string { outputs[id] = text }
        noteChange()
        guard announces, notice.alias["result"]?["enabled"]?.bool ?? true else { return }
        announce(execution, notice)
    }

    private func announce(_ execution: [String: JSONValue], _ notice: Notice) {
        let payload: [String: JSONValue] = [
            "user": .string(notice.user), "channel": .string(notice.channel), "whisper": false,
            "message": .string(message(execution, notice.alias)), "context": notice.context,
            "extra": notice.alias["result"]?["extra"] ?? .object([:]),
        ]
        let parent = newID()
        let post = SimulatedAction("chatops.post_result") { _ in .null }
        var rule = record(
            parent, post,
            [
                "channel": .string(notice.channel), "user": .string(notice.user), "route": .string(notice.route),
                "execution_id": execution["id"] ?? .null, "context": notice.context,
            ], context: ["user": "root", "pack": "chatops"], runner: "orquesta")
        guard !delaysResults else {
            rule["status"] = "requested"
            save(rule, parent)
            delayed.append((parent, payload, notice.route))
            return
        }
        rule["status"] = "succeeded"
        rule["end_timestamp"] = .string(timestamp())
        save(rule, parent)
        publish(payload: payload, route: notice.route, parent: parent)
    }

    /// Announces the results that were delayed because of ``delaysResults``.
    package func postDelayed() {
        delaysResults = false
        for (parent, payload, route) in delayed {
            executions[parent]?["status"] = "succeeded"
            executions[parent]?["end_timestamp"] = .string(timestamp())
            publish(payload: payload, route: route, parent: parent)
        }
        delayed = []
    }

    /// Publishes an announcement on the stream and adds its execution to the history.
    ///
    /// - Parameter age: The age of the execution in the history. The event is published now.
    /// - Returns: The ID of the execution.
    @discardableResult
    package func publish(
        payload: [String: JSONValue], route: String, parent: String? = nil, age: Duration = .zero
    ) -> String {
        let id = newID()
        let time = JSONValue.string(timestamp(.now - age / .seconds(1)))
        var parameters = payload
        parameters["route"] = .string(route)
        var execution = record(
            id, SimulatedAction("core.announcement") { _ in .null }, parameters, context: [:], runner: "announcement")
        execution["status"] = "succeeded"
        execution["start_timestamp"] = time
        execution["end_timestamp"] = time
        execution["parent"] = parent.map { .string($0) }
        save(execution, id)
        publish("st2.announcement__\(route)", ["payload": .object(payload), "trace_context": .null])
        return id
    }

    private func message(_ execution: [String: JSONValue], _ alias: JSONValue) -> String {
        if execution["status"] == "succeeded", let format = alias["result"]?["format"]?.string {
            return Template.render(format, ["execution": .object(execution)])
        }
        let result = execution["result"]
        let details = ["return_code", "stdout", "stderr"].compactMap { key -> String? in
            guard let value = result?[key], value != "", value != 0 else { return nil }
            return "\(key) : \(value.string ?? value.prettyText)"
        }
        return """

            Action \(execution["action"]?["ref"]?.string ?? "") completed.
            status : \(execution["status"]?.string ?? "")
            execution: \(execution["id"]?.string ?? "")

            result :
            --------
            \(details.joined(separator: "\n"))

            """
    }
}

extension SimulatedStackStorm {
    func executionAnswer(_ request: SimulatedRequest, _ path: [String]) throws -> SimulatedAnswer {
        guard let id = path.first else { return try listExecutions(request) }
        guard let execution = executions[id] else {
            throw SimulatedRefusal(404, "Unable to identify resource with id \"\(id)\".")
        }
        switch (request.method, path.dropFirst().first) {
        case ("GET", nil): return .json(.object(selected(execution, request)))
        case ("GET", "output"): return .text(outputs[id] ?? "")
        case ("DELETE", nil):
            guard let run = runs[id] else {
                let status = execution["status"]?.string ?? ""
                return .json(["faultstring": .string("Action cannot be canceled. State = \(status).")])
            }
            run.cancel()
            executions[id]?["status"] = "canceling"
            return .json(.object(executions[id] ?? execution))
        default: return .notFound
        }
    }

    /// Returns the newest execution of an action.
    package func lastExecution(of ref: String) -> [String: JSONValue]? {
        order.last { executions[$0]?["action"]?["ref"]?.string == ref }.flatMap { executions[$0] }
    }

    private func selected(_ execution: [String: JSONValue], _ request: SimulatedRequest) -> [String: JSONValue] {
        guard let wanted = request.query["include_attributes"] else { return execution }
        let keys = Set(wanted.split(separator: ",").map(String.init) + ["id"])
        return execution.filter { keys.contains($0.key) }
    }

    private func listExecutions(_ request: SimulatedRequest) throws -> SimulatedAnswer {
        let query = request.query
        var found = order.compactMap { executions[$0] }.filter { execution in
            let start = execution["start_timestamp"]?.string ?? ""
            return (query["runner"].map { execution["runner"]?["name"]?.string == $0 } ?? true)
                && (query["action"].map { execution["action"]?["ref"]?.string == $0 } ?? true)
                && (query["status"].map { execution["status"]?.string == $0 } ?? true)
                && (query["parent"].map { execution["parent"]?.string == $0 } ?? true)
                && (query["timestamp_gt"].map { start > $0 } ?? true)
                && (query["timestamp_lt"].map { start < $0 } ?? true)
        }
        if query["sort_asc"] != "start_timestamp" { found.reverse() }
        return try page(found.map { .object(selected($0, request)) }, request, usual: 100)
    }
}
