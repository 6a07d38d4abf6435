package import PetrelSupport

/// A message of JSON-RPC 2.0 (https://www.jsonrpc.org/specification), without batches.
package enum RPCMessage: Sendable, Equatable {
    /// The identifier of a request.
    package enum ID: Sendable, Hashable {
        /// A whole number.
        case number(Int)
        /// A string.
        case text(String)
    }

    /// A request, which the receiver answers with a response.
    case request(ID, method: String, params: JSONValue)
    /// A notification, which is not answered.
    case notification(method: String, params: JSONValue)
    /// The response to a request. The identifier is nil if the request could not be parsed.
    case response(ID?, Result<JSONValue, RPCError>)
}

/// The error of a response.
package struct RPCError: Error, Sendable, Equatable {
    /// The code: one of JSON-RPC, or one that the protocol defines.
    package var code: Int
    /// A sentence.
    package var message: String
    /// Further details, if any.
    package var data: JSONValue?

    package init(_ code: Int, _ message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    /// Creates the error for a line that is not a message.
    static func invalid(_ message: String) -> RPCError { RPCError(-32600, message) }

    /// Creates the error for parameters of the wrong form.
    package static func parameters(_ message: String) -> RPCError { RPCError(-32602, message) }

    /// Creates the error for a reason that the user should read.
    package static func refusal(_ sentence: String) -> RPCError { RPCError(1, sentence) }

    /// The code of an error with a sentence for the user.
    package static let refusal = 1
    /// The code of a message that was not sent.
    package static let notSent = 2
    /// The code of a request that is rejected because too many are pending.
    static let busy = 3
}

extension RPCMessage {
    /// Parses one line. Throws an ``RPCError`` that states what is wrong.
    package init(_ line: some Collection<UInt8>) throws(RPCError) {
        guard String(validating: line, as: UTF8.self) != nil else { throw RPCError(-32700, "the line is not UTF-8") }
        let value: JSONValue
        do { value = try JSONValue.parse(line) } catch {
            throw RPCError(-32700, "the line is not JSON: \(JSONValue.reason(of: error, in: line))")
        }
        guard case .object(let object) = value else { throw .invalid("the message is not an object") }
        guard object["jsonrpc"] == "2.0" else { throw .invalid("`jsonrpc` is not \"2.0\"") }
        let id = try Self.id(object["id"])
        if let method = object["method"] {
            guard case .string(let name) = method else { throw .invalid("`method` is not a string") }
            let params = object["params"] ?? [:]
            guard params.object != nil else { throw .invalid("`params` is not an object") }
            self = id.map { .request($0, method: name, params: params) } ?? .notification(method: name, params: params)
            return
        }
        self = .response(id, try Self.outcome(of: object))
    }

    private static func id(_ value: JSONValue?) throws(RPCError) -> ID? {
        switch value {
        case .integer(let number): .number(number)
        case .string(let text): .text(text)
        case .null, nil: nil
        default: throw .invalid("`id` is neither a whole number nor a string")
        }
    }

    private static func outcome(of object: [String: JSONValue]) throws(RPCError) -> Result<JSONValue, RPCError> {
        switch (object["result"], object["error"]) {
        case (let result?, nil): return .success(result)
        case (nil, .object(let error)?):
            guard let code = error["code"]?.int, let message = error["message"]?.string else {
                throw .invalid("`error` has no `code` or no `message`")
            }
            return .failure(RPCError(code, message, data: error["data"]))
        default: throw .invalid("the message has neither `method` nor exactly one of `result` and `error`")
        }
    }

    /// Returns the message as one line with its line feed. Throws Foundation's `EncodingError` for infinity and NaN.
    package func line() throws -> [UInt8] {
        var object: [String: JSONValue] = ["jsonrpc": "2.0"]
        switch self {
        case .request(let id, let method, let params):
            object["id"] = id.value
            object["method"] = .string(method)
            object["params"] = params
        case .notification(let method, let params):
            object["method"] = .string(method)
            object["params"] = params
        case .response(let id, .success(let result)):
            object["id"] = id?.value ?? .null
            object["result"] = result
        case .response(let id, .failure(let error)):
            object["id"] = id?.value ?? .null
            var value: [String: JSONValue] = ["code": .integer(error.code), "message": .string(error.message)]
            value["data"] = error.data
            object["error"] = .object(value)
        }
        return try JSONValue.encode(JSONValue.object(object)) + [UInt8(ascii: "\n")]
    }
}

extension RPCMessage.ID {
    fileprivate var value: JSONValue {
        switch self {
        case .number(let number): .integer(number)
        case .text(let text): .string(text)
        }
    }
}
