package import PetrelSupport

/// The members of a JSON object, read with errors that name the member.
package struct Members: Sendable {
    /// The members.
    package let object: [String: JSONValue]
    private let path: String

    /// - Parameter path: The name of the object in error messages; empty for the parameters of a request.
    package init(_ value: JSONValue?, _ path: String = "") throws(RPCError) {
        guard let object = value?.object else {
            throw .parameters("`\(path.isEmpty ? "params" : path)` must be an object")
        }
        self.object = object
        self.path = path
    }

    /// Returns a member; nil if it is missing or null.
    package subscript(_ key: String) -> JSONValue? { object[key].flatMap { $0 == .null ? nil : $0 } }

    private func wrong(_ key: String, _ rule: String) -> RPCError {
        .parameters("`\(path.isEmpty ? key : "\(path).\(key)")` \(rule)")
    }

    package func string(_ key: String) throws(RPCError) -> String {
        guard let text = try optionalString(key) else { throw wrong(key, "is missing") }
        return text
    }

    package func optionalString(_ key: String) throws(RPCError) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.string else { throw wrong(key, "must be a string") }
        return text
    }

    package func bool(_ key: String, default fallback: Bool = false) throws(RPCError) -> Bool {
        guard let value = self[key] else { return fallback }
        guard let bool = value.bool else { throw wrong(key, "must be true or false") }
        return bool
    }

    package func integer(_ key: String) throws(RPCError) -> Int? {
        guard let value = self[key] else { return nil }
        guard let number = value.int else { throw wrong(key, "must be a whole number") }
        return number
    }

    package func number(_ key: String) throws(RPCError) -> Double? {
        switch self[key] {
        case nil: nil
        case .integer(let number): Double(number)
        case .number(let number): number
        default: throw wrong(key, "must be a number")
        }
    }

    package func list(_ key: String, atMost limit: Int) throws(RPCError) -> [JSONValue] {
        guard let value = self[key] else { return [] }
        guard let list = value.array else { throw wrong(key, "must be a list") }
        guard list.count <= limit else { throw wrong(key, "has \(list.count) items; at most \(limit) are allowed") }
        return list
    }

    package func strings(_ key: String, atMost limit: Int) throws(RPCError) -> [String] {
        var strings: [String] = []
        for value in try list(key, atMost: limit) {
            guard let text = value.string else { throw wrong(key, "must be a list of strings") }
            strings.append(text)
        }
        return strings
    }

    package func stringMap(_ key: String) throws(RPCError) -> [String: String]? {
        guard let value = self[key] else { return nil }
        guard let object = value.object else { throw wrong(key, "must be an object") }
        var map: [String: String] = [:]
        for (name, value) in object {
            guard let text = value.string else { throw wrong("\(key).\(name)", "must be a string") }
            map[name] = text
        }
        return map
    }

    package func choice<Choice: RawRepresentable<String>>(_ key: String) throws(RPCError) -> Choice? {
        guard let text = try optionalString(key) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            throw wrong(key, "is “\(text.prefix(40))”, which is not allowed")
        }
        return choice
    }
}
