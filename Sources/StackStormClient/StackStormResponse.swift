package import Foundation
package import PetrelSupport

/// A complete HTTP response of StackStorm.
package struct StackStormResponse: Sendable {
    /// The status code.
    package var status: Int
    /// The headers, with names in lower case.
    package var headers: [String: String]
    /// The body.
    package var body: Data

    /// The number of values and rows that were skipped because they could not be read.
    let losses = Locked(0)

    /// Creates a response.
    package init(status: Int, headers: [String: String], body: Data) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The time of the response by StackStorm's clock, in whole seconds, from the `Date` header.
    package var time: StackStormTime? { headers["date"].flatMap { StackStormTime(header: $0) } }

    /// The total number of items of a list of which the response is one page, from the `X-Total-Count` header.
    package var total: Int? { headers["x-total-count"].flatMap { Int($0) } }

    /// The `X-Request-ID` header.
    package var requestID: String? { headers["x-request-id"] }

    /// Returns the response if its status is 2xx.
    ///
    /// - Throws: The error for the status, with the `faultstring` of the body as its message.
    package func checked() throws(StackStormError) -> StackStormResponse {
        guard !(200...299).contains(status) else { return self }
        let fault = (try? json())?["faultstring"]?.string ?? ""
        let message =
            !fault.isBlank
            ? fault
            : code == .refused || code == .forbidden
                ? "StackStorm rejected the request (status \(status))."
                : "StackStorm, or a proxy in front of it, responded with status \(status)"
        throw StackStormError(code, message, status: status, requestID: requestID)
    }

    /// Returns the response if its status is 2xx, for an endpoint that every StackStorm has.
    ///
    /// Status 404 means that the URL in the settings is wrong.
    ///
    /// - Parameter setting: The configuration key of the URL.
    /// - Throws: The error for the status.
    package func checked(at setting: String) throws(StackStormError) -> StackStormResponse {
        do throws(StackStormError) {
            return try checked()
        } catch {
            guard error.code == .notFound else { throw error }
            throw StackStormError(
                .notFound, "StackStorm was not found at \(setting), which usually ends in /v1 (\(error.clause))",
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

    /// Decodes the body.
    ///
    /// Invalid JSON values in the body are replaced and counted, see `LenientJSON`.
    ///
    /// - Parameters:
    ///   - type: The type to decode.
    ///   - key: A key to set to true in the `userInfo` of the decoder.
    /// - Throws: ``StackStormError`` with the code `unexpectedAnswer` and the field that cannot be decoded.
    package func decoded<Value: Decodable>(
        as type: Value.Type = Value.self, with key: CodingUserInfoKey? = nil
    ) throws(StackStormError) -> Value {
        // If some values are not valid JSON, the rest is used.
        let read = JSONReader.value(body).map { ($0, losses: 0) } ?? LenientJSON.read(body)
        guard let (json, losses) = read else { throw unexpected("it is not valid JSON") }
        do {
            let value = try json.decoded(as: type, userInfo: key.map { [$0: true] } ?? [:])
            noteLosses(losses)
            return value
        } catch {
            throw unexpected(JSONValue.reason(of: error))
        }
    }

    func noteLosses(_ count: Int) { if count > 0 { losses.withLock { $0 += count } } }

    /// Returns the body as JSON. Throws an error with the code `unexpectedAnswer` if it is malformed.
    package func json() throws(StackStormError) -> JSONValue {
        if let value = JSONReader.value(body) { return value }
        guard let (value, losses) = LenientJSON.read(body) else { throw unexpected("it is not valid JSON") }
        noteLosses(losses)
        return value
    }

    /// Returns the body as a JSON array. Throws an error with the code `unexpectedAnswer` if it is something else.
    package func list() throws(StackStormError) -> [JSONValue] {
        guard let list = try json().array else { throw unexpected("it is not a list") }
        return list
    }

    /// Returns an error with the code `unexpectedAnswer` for this response.
    package func unexpected(_ what: String) -> StackStormError {
        StackStormError(.unexpectedAnswer, what, status: status, requestID: requestID)
    }
}
