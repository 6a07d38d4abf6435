import Foundation
import PetrelKit
package import PetrelSupport

extension SimulatedStackStorm {
    /// Processes a request for inquiries, which are pending executions of `core.ask`.
    func inquiryAnswer(
        _ request: SimulatedRequest, _ path: [String], as user: String
    ) throws -> SimulatedAnswer {
        guard let id = path.first else {
            let open = order.filter { inquiries[$0] == false }.compactMap { inquiry($0) }
            return try page(open, request)
        }
        guard let isAnswered = inquiries[id], let inquiry = inquiry(id) else {
            guard executions[id] != nil else { return .notFound }
            throw SimulatedRefusal(400, "Action execution \"\(id)\" is not an inquiry.")
        }
        switch request.method {
        case "GET":
            if isAnswered { throw SimulatedRefusal(400, "Inquiry \"\(id)\" has already been responded to.") }
            return .json(inquiry)
        case "PUT":
            if users.first(where: { $0.name == user })?.forbidden.contains("core.ask") == true {
                throw SimulatedRefusal.lacking("inquiry_respond\" on resource \"inquiry:\(id)", user)
            }
            guard let response = try request.object()["response"]?.object else {
                throw SimulatedRefusal(400, "'response' is a required property")
            }
            if isAnswered { throw SimulatedRefusal(400, "Inquiry \"\(id)\" has already been responded to.") }
            try checkResponse(response, to: inquiry, id)
            settle(id, response)
            return .json(["id": .string(id), "response": .object(response)])
        default: return .notFound
        }
    }

    private func checkResponse(_ response: [String: JSONValue], to inquiry: JSONValue, _ id: String) throws {
        for (name, schema) in inquiry["schema"]?["properties"]?.object ?? [:] {
            let fits =
                switch (schema["type"]?.string, response[name]) {
                case (_, nil): schema["required"]?.bool != true
                case ("boolean", .bool?), ("string", .string?), ("integer", .integer?): true
                default: false
                }
            guard fits else {
                throw SimulatedRefusal(
                    400, "Response for inquiry \"\(id)\" did not pass schema validation. '\(name)' does not fit.")
            }
        }
    }

    private func inquiry(_ id: String) -> JSONValue? {
        guard let parameters = executions[id]?["parameters"] else { return nil }
        return [
            "id": .string(id), "route": parameters["route"] ?? "", "ttl": 30, "users": [], "roles": [],
            "schema": parameters["schema"] ?? .object([:]),
        ]
    }

    /// Completes an inquiry with a response.
    package func settle(_ id: String, _ response: [String: JSONValue]) {
        inquiries[id] = true
        executions[id]?["status"] = "succeeded"
        asking.removeValue(forKey: id)?.yield(response)
    }

    /// Cancels an inquiry whose workflow was cancelled.
    func withdraw(_ id: String) {
        asking[id] = nil
        inquiries[id] = nil
        executions[id]?["status"] = "canceled"
    }

    /// Creates a pending inquiry and returns its ID.
    @discardableResult
    package func ask(_ schema: JSONValue, route: String = "errbot", of parent: String? = nil) -> String {
        let id = newID()
        var context: [String: JSONValue] = [:]
        if let parent {
            let inherited = executions[parent]?["context"]?.object ?? [:]
            context["parent"] = .object(inherited.merging(["execution_id": .string(parent)]) { _, new in new })
        }
        var execution = record(
            id, SimulatedAction("core.ask") { _ in .null }, ["schema": schema, "route": .string(route)],
            context: context,
            runner: "inquirer")
        execution["status"] = "pending"
        save(execution, id)
        inquiries[id] = false
        noteChange()
        return id
    }
}
