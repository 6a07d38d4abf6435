import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient

extension SimulatedStackStorm {
    /// Processes a request and returns the response.
    package func answer(_ request: SimulatedRequest) async -> SimulatedAnswer {
        note(request)
        let parts = request.path.split(separator: "/").map(String.init)
        if parts == ["_ctl"] { return control(request) }
        guard let service = parts.first, parts.count >= 2, parts[1] == "v1" else { return .notFound }
        let path = Array(parts.dropFirst(2))
        let area = service == "auth" ? .tokens : Fault.Area(rawValue: path.first ?? "")
        let fault = area.flatMap { faults[$0] }
        if let fault, !fault.comesAfter, let answer = await misbehave(fault) { return answer }
        let answer = await answer(request, service, path)
        switch fault {
        case .hangAfter: await hang()
        case .statusAfter(let status):
            return .fault(status, "Nginx is unable to reach st2api. Make sure service is running.")
        default: break
        }
        if let garble { return answer.replacing(garble.text, with: garble.replacement) }
        return answer
    }

    private func answer(_ request: SimulatedRequest, _ service: String, _ path: [String]) async -> SimulatedAnswer {
        do {
            switch service {
            case "auth": return try auth(request, path)
            case "stream": return try stream(request, path)
            case "api": return try await api(request, path)
            default: return .notFound
            }
        } catch let refusal as SimulatedRefusal {
            return .fault(refusal.status, refusal.text)
        } catch {
            return .fault(500, "Internal Server Error")
        }
    }

    private func misbehave(_ fault: Fault) async -> SimulatedAnswer? {
        switch fault {
        case .status(401): return .fault(401, "Unauthorized")
        case .status(let status): return .fault(status, "Simulated fault \(status)")
        case .blank(let status): return .fault(status, "")
        case .html(let status):
            return .text("<html><body>\(status) Bad Gateway</body></html>", status: status, type: "text/html")
        case .garbage: return .text("{\"half", type: "application/json")
        case .cut:
            return SimulatedAnswer(
                status: 200, headers: ["content-type": "application/json"], body: .cut(Array("{\"a\":".utf8)))
        case .hang, .hangAfter, .statusAfter:
            await hang()
            return .fault(504, "hung")
        case .retryAndClose: return .text("retry: 1000\n\n", type: "text/event-stream")
        case .silent:
            return SimulatedAnswer(
                status: 200, headers: ["content-type": "text/event-stream"],
                body: .stream(silence()))
        }
    }

    private func api(_ request: SimulatedRequest, _ path: [String]) async throws -> SimulatedAnswer {
        let user = try authenticate(request)
        askers["\(request.method) \(request.path)"] = user
        try permit(user, request.method, path)
        switch (request.method, path) {
        case ("GET", []): return .json(["version": "3.10dev", "docs_url": "http://docs.stackstorm.com/latest"])
        case ("GET", ["user"]): return whoami(request, user)
        case ("GET", let path) where path.first == "actions" && hidesActions:
            throw SimulatedRefusal.lacking("action_list", user)
        case ("GET", ["actions"]): return try page(actionList, request)
        case ("GET", let path) where path.count == 2 && path[0] == "actions":
            guard let action = actionList.first(where: { $0["ref"]?.string == path[1] }) else { return .notFound }
            return .json(action)
        case (_, let path) where path.first == "actionalias": return try aliasAnswer(request, Array(path.dropFirst()))
        case ("POST", ["aliasexecution"]): return try run(request, as: user)
        case ("POST", ["aliasexecution", "match_and_execute"]): return try matchAndRun(request, as: user)
        case (_, let path) where path.first == "executions":
            return try executionAnswer(request, Array(path.dropFirst()))
        case (_, let path) where path.first == "inquiries":
            return try inquiryAnswer(request, Array(path.dropFirst()), as: user)
        default: return .notFound
        }
    }

    /// Checks the permission of an account without a role, with the errors of the recordings.
    private func permit(_ user: String, _ method: String, _ path: [String]) throws {
        guard users.first(where: { $0.name == user })?.hasNoRole == true else { return }
        let permission: String? =
            switch (method, path) {
            case ("GET", ["actionalias"]): "action_alias_list"
            case ("GET", ["actionalias", "help"]): "action_alias_help"
            case ("POST", ["actionalias", "match"]): "action_alias_match"
            case ("GET", let path) where path.count == 2 && path[0] == "actionalias":
                "action_alias_view\" on resource \"action_alias:\(path[1].replacing(".", with: ":"))"
            case ("GET", ["actions"]): "action_list"
            case ("GET", ["executions"]): "execution_list"
            case ("GET", let path) where path.first == "executions" && path.count == 2:
                "execution_view\" on resource \"execution:\(path[1])"
            case ("GET", ["inquiries"]): "inquiry_list"
            default: nil
            }
        if let permission { throw SimulatedRefusal.lacking(permission, user) }
    }

    private var actionList: [JSONValue] {
        actions.values.sorted { $0.ref < $1.ref }.map { action in
            [
                "id": .string("action:\(action.ref)"), "ref": .string(action.ref), "pack": .string(action.pack),
                "name": .string(action.name), "parameters": .object(action.parameters),
                "runner_type": .string(action.runner),
            ]
        }
    }

    private func stream(_ request: SimulatedRequest, _ path: [String]) throws -> SimulatedAnswer {
        guard path == ["stream"], request.method == "GET" else { return .notFound }
        _ = try authenticate(request)
        let filters = (request.query["events"] ?? "st2.execution__*,st2.announcement__*").split(separator: ",").map(
            String.init)
        return SimulatedAnswer(
            status: 200, headers: ["content-type": "text/event-stream; charset=UTF-8", "cache-control": "no-cache"],
            body: .stream(subscribe(filters)))
    }

    /// Processes a request of the control endpoint for tests, such as `{"fault": {"executions": 500}, "cut": true}`.
    private func control(_ request: SimulatedRequest) -> SimulatedAnswer {
        guard request.method == "POST", let object = try? request.object() else { return .notFound }
        for (name, value) in object["fault"]?.object ?? [:] {
            guard let area = Fault.Area(rawValue: name), value == .null || Fault(json: value) != nil else {
                return .fault(400, "unknown fault \(name)")
            }
            faults[area] = Fault(json: value)
        }
        if object["cut"]?.bool == true { cutStreams() }
        if object["expire"]?.bool == true { expireTokens() }
        if object["revoke"]?.bool == true { revokeTokens() }
        for (key, user) in object["api_keys"]?.object ?? [:] { apiKeys[key] = user.string }
        if let raw = object["raw"]?.string { sendRaw(raw) }
        if let announcement = object["announce"], let route = announcement["route"]?.string {
            publish(
                "st2.announcement__\(route)", ["payload": announcement["payload"] ?? .null, "trace_context": .null])
        }
        return .json(["streams": .integer(subscribers.count)])
    }
}
