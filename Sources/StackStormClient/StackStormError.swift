import Foundation

/// What went wrong between Petrel and StackStorm.
public struct StackStormError: Error, CustomStringConvertible, Hashable {
    public enum Code: String, Sendable {
        /// 401: the credential is missing, wrong, expired or revoked.
        case unauthorized
        /// 403: the account may not do this. Logging in again cannot help.
        case forbidden
        /// 404.
        case notFound
        /// 400, 405, 409 and the other refusals of one request.
        case refused
        /// 500 to 599.
        case serverFailure
        /// No connection, or none that could be trusted; nothing was sent.
        case unreachable
        /// The request was sent and no complete answer came.
        case noAnswer
        /// An answer that is not StackStorm's: HTML from a proxy, broken JSON.
        case unexpectedAnswer
    }

    public var code: Code
    /// One line: StackStorm's own `faultstring`, or a description. Free of addresses.
    public var message: String
    public var status: Int?
    /// StackStorm's `X-Request-ID`, for its logs.
    public var requestID: String?
    /// What the log should know besides: it may name hosts.
    public var cause: String?
    /// The key of the configuration that whoever runs the bot has to look at; nil where that would not help.
    public var setting: String?

    public init(
        _ code: Code, _ message: String, status: Int? = nil, requestID: String? = nil, cause: String? = nil
    ) {
        self.cause = cause
        self.code = code
        self.message = Self.withoutAddresses(message)
        self.status = status
        self.requestID = requestID
    }

    public var description: String {
        let details = [status.map { "status \($0)" }, requestID.map { "request \($0)" }, cause].compactMap { $0 }
        return message + (details.isEmpty ? "" : " (\(details.joined(separator: ", ")))")
    }

    /// The request may have been carried out although no answer of StackStorm's says so: none came, it could not be
    /// read, or StackStorm, or a proxy before it, failed on the way. StackStorm's own nginx makes a 503 of a connection
    /// that broke after the work was done, and a RabbitMQ that is down makes a 500 of an execution that exists.
    public var leavesOutcomeOpen: Bool {
        switch code {
        case .noAnswer, .unexpectedAnswer, .serverFailure: true
        case .unauthorized, .forbidden, .notFound, .refused, .unreachable: false
        }
    }

    /// The same, which only a change of the configuration, or of what it names, can heal.
    package func pointing(at setting: String) -> StackStormError {
        var error = self
        error.setting = setting
        return error
    }

    /// The message as a part of a sentence: StackStorm ends some of its own with a full stop.
    package var clause: String {
        var scalars = message.unicodeScalars
        while scalars.last == "." { scalars.removeLast() }
        return String(scalars)
    }

    /// One line for `!status`.
    package var diagnosis: String { clause + (setting.map { "; look at \($0)" } ?? "") }

    /// The first line, with `http://…` taken out: hosts inside are nobody's business in chat.
    private static func withoutAddresses(_ text: String) -> String {
        let line = text.split(whereSeparator: \.isNewline).first ?? ""
        return line.split(separator: " ", omittingEmptySubsequences: false).map { word in
            guard let scheme = word.range(of: "http://") ?? word.range(of: "https://") else { return String(word) }
            return word[..<scheme.lowerBound] + "…"
        }.joined(separator: " ")
    }
}
