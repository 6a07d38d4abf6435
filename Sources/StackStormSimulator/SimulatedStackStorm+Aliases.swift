import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient

extension SimulatedStackStorm {
    func aliasAnswer(_ request: SimulatedRequest, _ path: [String]) throws -> SimulatedAnswer {
        switch (request.method, path) {
        case ("GET", []): return try list(request)
        case ("GET", ["help"]): return try help(request)
        case ("POST", ["match"]):
            guard let command = try request.object()["command"] else {
                throw SimulatedRefusal(400, "'command' is a required property")
            }
            guard let command = command.string else {
                throw SimulatedRefusal(400, "\(command.prettyText) is not of type 'string'")
            }
            let match = try match(command)
            let alias = aliases.first { $0["ref"]?.string == match.alias.ref } ?? .null
            return .json([
                "actionalias": alias, "display": match.format.display.map { .string($0) } ?? .null,
                "representation": .string(match.representation),
            ])
        case ("POST", []): return try create(request)
        case ("GET", let path) where path.count == 1: return .json(aliases[try index(of: path[0])])
        case ("PUT", let path) where path.count == 1:
            let index = try index(of: path[0])
            var alias = aliases[index].object ?? [:]
            alias.merge(try request.object()) { _, new in new }
            aliases[index] = .object(alias)
            publish("st2.actionalias__update", aliases[index])
            return .json(aliases[index])
        case ("DELETE", let path) where path.count == 1:
            let alias = aliases.remove(at: try index(of: path[0]))
            publish("st2.actionalias__delete", alias)
            return SimulatedAnswer(status: 204, headers: [:], body: .bytes([]))
        default: return .notFound
        }
    }

    private func index(of ref: String) throws -> Int {
        guard let index = aliases.firstIndex(where: { $0["ref"]?.string == ref || $0["id"]?.string == ref }) else {
            throw SimulatedRefusal(404, "Resource with a reference or id \"\(ref)\" not found")
        }
        return index
    }

    private func create(_ request: SimulatedRequest) throws -> SimulatedAnswer {
        var alias = try request.object()
        for field in ["name", "pack", "action_ref", "formats"] where alias[field] == nil {
            throw SimulatedRefusal(400, "'\(field)' is a required property")
        }
        let ref = "\(alias["pack"]?.string ?? "").\(alias["name"]?.string ?? "")"
        guard !aliases.contains(where: { $0["ref"]?.string == ref }) else {
            throw SimulatedRefusal(409, "Tried to save duplicate unique keys (E11000 Duplicate Key Error)")
        }
        alias["ref"] = .string(ref)
        alias["id"] = .string(newID())
        alias["uid"] = .string("action_alias:\(ref.replacing(".", with: ":"))")
        for field in ["ack", "result", "extra", "immutable_parameters"] where alias[field] == nil {
            alias[field] = .object([:])
        }
        if alias["enabled"] == nil { alias["enabled"] = true }
        alias["metadata_file"] = ""
        if alias["description"] == nil { alias["description"] = "" }
        aliases.append(.object(alias))
        publish("st2.actionalias__create", .object(alias))
        return .json(.object(alias), status: 201)
    }

    private func number(_ request: SimulatedRequest, _ name: String) throws -> Int? {
        guard let text = request.query[name] else { return nil }
        guard let number = Int(text) else {
            throw SimulatedRefusal(400, "Parameter \"\(name)\" is not of type integer")
        }
        return number
    }

    /// Returns one page of a list, with the headers for the total number and the limit.
    func page(_ items: [JSONValue], _ request: SimulatedRequest, usual: Int = 100) throws -> SimulatedAnswer {
        let asked = try number(request, "limit") ?? usual
        if asked == 0 {
            throw SimulatedRefusal(400, "Limit, \"0\" specified, must be a positive number or -1 for full result set.")
        }
        if asked < 0, refusesUnlimited {
            throw SimulatedRefusal(403, "Only admins are allowed to specify a limit of -1")
        }
        let limit = asked < 0 ? items.count : asked
        let page = items.dropFirst(try number(request, "offset") ?? 0).prefix(limit)
        return .json(
            .array(Array(page)),
            headers: ["x-total-count": "\(items.count)", "x-limit": "\(asked < 0 ? items.count : limit)"])
    }

    private func list(_ request: SimulatedRequest) throws -> SimulatedAnswer {
        let items = aliases.filter { alias in
            (request.query["pack"] ?? alias["pack"]?.string) == alias["pack"]?.string
                && (request.query["name"] ?? alias["name"]?.string) == alias["name"]?.string
        }
        return try page(items, request)
    }

    private func help(_ request: SimulatedRequest) throws -> SimulatedAnswer {
        if request.query["filter"] == "(" { throw SimulatedRefusal(500, "Internal Server Error") }
        var entries: [JSONValue] = []
        for alias in try aliases.filter({ $0["enabled"]?.bool == true }).map({ try Alias(json: $0) }) {
            guard (request.query["pack"] ?? alias.pack) == alias.pack else { continue }
            for format in alias.formats {
                guard let display = format.display else { continue }
                if let filter = request.query["filter"], !display.utf8.contains(filter.utf8) { continue }
                entries.append([
                    "pack": .string(alias.pack), "display": .string(display), "description": .string(alias.description),
                ])
            }
        }
        let limit = try number(request, "limit") ?? 0
        let shown = entries.dropFirst(try number(request, "offset") ?? 0).prefix(limit == 0 ? 100 : limit)
        return .json(["available": .integer(entries.count), "helpstrings": .array(Array(shown))])
    }

    func match(_ command: String) throws -> AliasMatcher.Match {
        let matcher = AliasMatcher(try aliases.map { try Alias(json: $0) })
        // In StackStorm, one alias with an invalid pattern makes every match fail.
        guard matcher.problems.isEmpty else { throw SimulatedRefusal(500, "Internal Server Error") }
        switch matcher.match(command) {
        case .one(let match): return match
        case .ambiguous: throw SimulatedRefusal(400, "Command '\(command)' matched more than 1 pattern")
        case .none, .unknown: throw SimulatedRefusal(400, "Command '\(command)' matched no patterns")
        }
    }
}
