import Foundation

/// An error of a call of StackStorm's API or of its event stream.
public struct StackStormError: Error, CustomStringConvertible, Hashable {
    /// The kind of an error.
    public enum Code: String, Sendable {
        /// Status 401: the credential is missing, wrong, expired or revoked.
        case unauthorized
        /// Status 403: the account does not have the required permission.
        case forbidden
        /// Status 404: the resource does not exist.
        case notFound
        /// Another status from 400 to 499: StackStorm rejected the request.
        case refused
        /// A status from 500 to 599.
        case serverFailure
        /// No connection could be opened, or its certificate is not trusted. Nothing was sent.
        case unreachable
        /// The request may have been sent, and no complete response was received.
        case noAnswer
        /// The response is not one of StackStorm, such as an HTML page of a proxy or malformed JSON.
        case unexpectedAnswer
    }

    /// The kind of the error.
    public var code: Code
    /// The message in one line: the `faultstring` of StackStorm, or a description. URLs are removed.
    public var message: String
    /// The status of the response, if there was one.
    public var status: Int?
    /// The `X-Request-ID` of the response, by which StackStorm's logs can be searched.
    public var requestID: String?
    /// Details for the log, which may contain host names.
    public var cause: String?
    /// The configuration key to check, such as `api_auth`, or nil if the configuration is not the cause.
    public var setting: String?

    /// Creates an error. Only the first line of the message is kept, and URLs in it are removed.
    public init(
        _ code: Code, _ message: String, status: Int? = nil, requestID: String? = nil, cause: String? = nil
    ) {
        self.cause = cause
        self.code = code
        self.message = Self.withoutAddresses(message)
        self.status = status
        self.requestID = requestID
    }

    /// The message with the status, the request ID and the cause, for the log.
    public var description: String {
        let details = [status.map { "status \($0)" }, requestID.map { "request \($0)" }, cause].compactMap { $0 }
        return message + (details.isEmpty ? "" : " (\(details.joined(separator: ", ")))")
    }

    /// True if the request may have been carried out in spite of the error.
    ///
    /// That is the case if no response or no readable response was received, and for a status of 500 or above:
    /// StackStorm's nginx responds with 503 if its connection to the API breaks after the work was done, and the API
    /// responds with 500 for an execution that it has stored if RabbitMQ is down.
    public var leavesOutcomeOpen: Bool {
        switch code {
        case .noAnswer, .unexpectedAnswer, .serverFailure: true
        case .unauthorized, .forbidden, .notFound, .refused, .unreachable: false
        }
    }

    /// True if there was no response and the current task is cancelled, so that it would not have waited for one.
    var isCancellation: Bool { code == .noAnswer && Task.isCancelled }

    /// Returns the error with the configuration key to check.
    package func pointing(at setting: String) -> StackStormError {
        var error = self
        error.setting = setting
        return error
    }

    /// The message without a full stop at its end, for use within a sentence.
    package var clause: String {
        var scalars = message.unicodeScalars
        while scalars.last == "." { scalars.removeLast() }
        return String(scalars)
    }

    /// The message with the setting to check, for a status line.
    package var diagnosis: String { clause + (setting.map { "; check \($0)" } ?? "") }

    /// Returns the first line without URLs, because internal host names should not be shown in chat.
    private static func withoutAddresses(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).first ?? ""
        return line.split(separator: " ", omittingEmptySubsequences: false).map { word in
            guard let scheme = word.range(of: "http://") ?? word.range(of: "https://") else { return String(word) }
            return word[..<scheme.lowerBound] + "…"
        }.joined(separator: " ")
    }
}
