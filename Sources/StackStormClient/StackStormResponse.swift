package import Foundation
package import PetrelSupport

/// A whole answer, before it is understood.
package struct StackStormResponse: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: Data

    /// What could not be read in it although the rest was used: values, and rows of lists.
    let losses = Locked(0)

    package init(status: Int, headers: [String: String], body: Data) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// When StackStorm answered, by its own clock: whole seconds.
    package var time: StackStormTime? { headers["date"].flatMap { StackStormTime(header: $0) } }

    /// How many items there are in all, where the answer is one page of them.
    package var total: Int? { headers["x-total-count"].flatMap { Int($0) } }

    package var requestID: String? { headers["x-request-id"] }

    /// Throws unless the status is 2xx.
    package func checked() throws(StackStormError) -> StackStormResponse {
        guard !(200...299).contains(status) else { return self }
        let fault = (try? json())?["faultstring"]?.string ?? ""
        let message =
            !fault.isBlank
            ? fault
            : code == .refused || code == .forbidden
                ? "StackStorm refused this (status \(status))."
                : "StackStorm, or a proxy before it, answered with status \(status)"
        throw StackStormError(code, message, status: status, requestID: requestID)
    }

    /// ``checked()`` for what every StackStorm has: where it is not found, the address is another one's.
    package func checked(at setting: String) throws(StackStormError) -> StackStormResponse {
        do throws(StackStormError) {
            return try checked()
        } catch {
            guard error.code == .notFound else { throw error }
            throw StackStormError(
                .notFound, "there is no StackStorm at \(setting), which usually ends in /v1 (\(error.clause))",
                status: error.status, requestID: error.requestID
            ).pointing(at: setting)
        }
    }

    private var code: StackStormError.Code {
        switch status {
        case 401: .unauthorized
        case 403: .forbidden
        case 404: .notFound
        case 500...: .serverFailure
        case 400...: .refused
        default: .unexpectedAnswer
        }
    }

    /// The body as a value. Throws `.unexpectedAnswer` with the place that does not fit.
    /// - Parameter key: set in the decoder's `userInfo`.
    package func decoded<Value: Decodable>(
        as type: Value.Type = Value.self, with key: CodingUserInfoKey? = nil
    ) throws(StackStormError) -> Value {
        let decoder = JSONDecoder()
        if let key { decoder.userInfo[key] = true }
        do {
            return try decoder.decode(Value.self, from: body)
        } catch {
            // Where something in it is no JSON the rest is used.
            guard let lenient = LenientJSON.read(body), lenient.losses > 0,
                let clean: [UInt8] = try? JSONValue.encode(lenient.value),
                let value = try? decoder.decode(Value.self, from: Data(clean))
            else { throw unexpected(JSONValue.reason(of: error)) }
            noteLosses(lenient.losses)
            return value
        }
    }

    func noteLosses(_ count: Int) { if count > 0 { losses.withLock { $0 += count } } }

    /// The body as JSON. Throws `.unexpectedAnswer` where it is none.
    package func json() throws(StackStormError) -> JSONValue {
        if let value = JSONReader.value(body) { return value }
        guard let (value, losses) = LenientJSON.read(body) else { throw unexpected("it is no JSON") }
        noteLosses(losses)
        return value
    }

    /// The body as a list. Throws `.unexpectedAnswer` where it is none.
    package func list() throws(StackStormError) -> [JSONValue] {
        guard let list = try json().array else { throw unexpected("it is no list") }
        return list
    }

    package func unexpected(_ what: String) -> StackStormError {
        StackStormError(.unexpectedAnswer, what, status: status, requestID: requestID)
    }
}
