import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PetrelKit
import PetrelSupport

/// A client of Slack's Web API (https://docs.slack.dev/apis/web-api).
final class SlackAPI: Sendable {
    /// The token that authorizes a call.
    enum Credential {
        case bot
        /// The app-level token, for Socket Mode.
        case app
    }

    /// The maximum size of a response, in bytes.
    private static let longest = 8 << 20
    /// The default timeout of a request.
    static let patience = TimeAmount.seconds(30)

    private let client: HTTPClient
    private let base: String
    /// The scheme that all other addresses must have too: an encrypted API must not lead to an unencrypted address.
    private let scheme: String
    private let botToken: Secret
    private let appToken: Secret?
    private let hasBotToken: Bool
    private let clock = Locked(RemoteClock())
    private let gates = Locked(SlackGates())

    init(_ settings: SlackSettings, on loop: EventLoopExecutor) {
        var configuration = HTTPClient.Configuration()
        // A redirected request would send the token to another host.
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(10)
        configuration.httpVersion = .http1Only
        configuration.proxy = ProxyEnvironment(settings.environment).proxy(for: settings.apiURL).map { .init($0) }
        client = HTTPClient(
            eventLoopGroupProvider: .shared(loop.eventLoop), configuration: configuration)
        let url = settings.apiURL.absoluteString
        base = url.hasSuffix("/") ? url : url + "/"
        scheme = settings.apiURL.scheme ?? "https"
        botToken = settings.botToken
        appToken = settings.appToken
        hasBotToken = settings.hasBotToken
    }

    var isEncrypted: Bool { scheme == "https" }

    deinit { client.shutdown { _ in } }

    /// Calls a method, and returns its response. Throws ``SlackError``.
    ///
    /// Arguments are form-encoded, which every method accepts; values other than strings are encoded as JSON.
    @discardableResult
    func call(
        _ method: String, _ arguments: [String: JSONValue] = [:], as credential: Credential = .bot,
        within patience: TimeAmount = patience
    ) async throws -> JSONValue {
        try await answer(method, arguments, as: credential, within: patience).json
    }

    /// Calls a method, and returns its response with the granted scopes from `X-OAuth-Scopes`, if Slack sends them.
    /// Throws ``SlackError``.
    func answer(
        _ method: String, _ arguments: [String: JSONValue] = [:], as credential: Credential = .bot,
        within patience: TimeAmount = patience
    ) async throws -> (json: JSONValue, scopes: String?) {
        guard hasBotToken || credential == .app else {
            throw SlackError(method, "no_bot_token", "the configuration of the backend has no bot_token")
        }
        let gate = SlackGates.Key(method, channel: arguments["channel"]?.string)
        if let pause = gates.withLock({ $0.pause(at: gate) }) {
            throw SlackError(method, "ratelimited", retryAfter: pause)
        }
        var request = HTTPClientRequest(url: base + method)
        request.method = .POST
        let token = credential == .app ? appToken : botToken
        request.headers = [
            "Authorization": "Bearer \(token?.reveal() ?? "")",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "User-Agent": "petrel",
        ]
        request.body = .bytes(ByteBuffer(string: try Self.form(arguments)))
        do {
            let response = try await client.execute(request, timeout: patience)
            let pause = Self.pause(response)
            let body = try await response.body.collect(upTo: Self.longest)
            let json = try Self.read(method, Int(response.status.code), pause, body)
            clock.withLock { $0.note(response.headers.first(name: "date")) }
            return (json, response.headers.first(name: "x-oauth-scopes"))
        } catch let error as SlackError {
            if let pause = error.retryAfter { gates.withLock { $0.close(gate, for: pause) } }
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as HTTPClientError where error == .proxyAuthenticationRequired {
            throw SlackError(method, "unreachable", "the proxy rejected the user name or password in HTTPS_PROXY")
        } catch {
            throw SlackError(method, "unreachable", "\(error)")
        }
    }

    /// The time of Slack's servers, in seconds since 1970; the local time until a response contained a date.
    var now: Double { clock.value.seconds() ?? Date.now.timeIntervalSince1970 }

    /// Answers a slash command or an interaction at its `response_url`. Throws ``SlackError``.
    func respond(at url: URL, _ message: [String: JSONValue]) async throws {
        try await post(JSONValue.encode(message), "application/json; charset=utf-8", to: url, "response_url")
    }

    /// Uploads a file to an `upload_url`. Throws ``SlackError``.
    func upload(_ bytes: [UInt8], to url: URL) async throws {
        try await post(bytes, "application/octet-stream", to: url, "upload_url")
    }

    /// Posts to an address that itself is the credential, so no token is sent.
    private func post(_ bytes: [UInt8], _ type: String, to url: URL, _ method: String) async throws {
        guard url.scheme == scheme, url.hasValidPort else {
            throw SlackError(method, "refused", "the address is not a valid \(scheme)://")
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        request.method = .POST
        request.headers = ["Content-Type": type, "User-Agent": "petrel"]
        request.body = .bytes(ByteBuffer(bytes: bytes))
        let response: HTTPClientResponse
        do {
            response = try await client.execute(request, timeout: Self.patience)
        } catch {
            // The error may contain the address, which is a secret.
            throw SlackError(method, "unreachable")
        }
        switch response.status.code {
        case 200: return
        case 429: throw SlackError(method, "ratelimited", retryAfter: Self.pause(response))
        // The address has expired or was used too often.
        case 403, 404, 410: throw SlackError(method, SlackError.expiredAddress, "status \(response.status.code)")
        case 500...: throw SlackError(method, "service_unavailable", "status \(response.status.code)")
        default: throw SlackError(method, SlackError.refused, "status \(response.status.code)")
        }
    }

    /// The delay from `Retry-After`, limited to between one second and one hour.
    private static func pause(_ response: HTTPClientResponse) -> Duration {
        let seconds = response.headers.first(name: "retry-after").flatMap { Int($0) } ?? 1
        return .seconds(min(max(seconds, 1), 3_600))
    }

    private static func read(
        _ method: String, _ status: Int, _ pause: Duration, _ body: ByteBuffer
    ) throws(SlackError) -> JSONValue {
        if status == 429 { throw SlackError(method, "ratelimited", retryAfter: pause) }
        guard let json = try? JSONValue.parse(body.readableBytesView), let isGood = json["ok"]?.bool else {
            throw SlackError(method, "unreadable", "status \(status), and the body is not a Slack response")
        }
        if isGood { return json }
        let needed = json["needed"]?.string.map { "the scope \($0) is missing" }
        throw SlackError(
            method, json["error"]?.string ?? "unknown", needed,
            retryAfter: json["error"] == "ratelimited" ? pause : nil)
    }

    private static func form(_ arguments: [String: JSONValue]) throws -> String {
        try arguments.sorted { $0.key < $1.key }.map { key, value in
            let text = try value.string ?? String(decoding: JSONValue.encode(value) as [UInt8], as: UTF8.self)
            return "\(escape(key))=\(escape(text))"
        }.joined(separator: "&")
    }

    private static let plain = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

    private static func escape(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: plain) ?? ""
    }
}

/// The failure of an API call.
struct SlackError: Error, CustomStringConvertible, Equatable {
    var method: String
    /// The error code from Slack, or `unreachable` or `unreadable`.
    var code: String
    var detail: String?
    var retryAfter: Duration?

    init(_ method: String, _ code: String, _ detail: String? = nil, retryAfter: Duration? = nil) {
        self.method = method
        self.code = code
        self.detail = detail
        self.retryAfter = retryAfter
    }

    var description: String { "\(method): \(code)\(detail.map { " (\($0))" } ?? "")" }

    /// The code for a `response_url` or `upload_url` that can no longer be used.
    static let expiredAddress = "expired_url"

    /// True if the token is invalid or revoked, so that every further call fails until it is replaced.
    var isFinal: Bool {
        [
            "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired",
            "not_allowed_token_type", "app_uninstalled",
        ].contains(code)
    }

    /// The code for a message that a `response_url` refused, for any reason.
    static let refused = "refused"
    /// The code for a message with a thread that a `response_url` refused.
    static let refusedThread = "refused_thread"

    /// True if Slack rejects the thread of a message.
    var isAboutThread: Bool {
        [
            "thread_not_found", "invalid_thread_ts", "invalid_ts", "message_not_found", "cannot_reply_to_message",
            "restricted_action_thread_locked", "restricted_action_non_threadable_channel", Self.refusedThread,
        ].contains(code)
    }

    /// True if Slack rejects the content itself. A `response_url` reports this only as `refused`.
    var isAboutContent: Bool {
        [
            "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long",
            "too_many_attachments", "invalid_arguments", "attachment_payload_limit_exceeded", Self.refused,
        ].contains(code)
    }

    /// The remedy for a failed send: a retry may help if Slack is busy or unreachable, or if the token has to be
    /// replaced. Other failures are permanent: a retry would fail again and delay the messages behind it.
    var remedy: SendFailure.Remedy {
        let passing = [
            "ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error",
            "service_unavailable", "request_timeout", "team_added_to_org", "org_login_required",
            "external_channel_migrating", Self.expiredAddress, "unreachable", "unreadable",
        ]
        return passing.contains(code) || isFinal ? .later(after: retryAfter) : .never
    }
}
