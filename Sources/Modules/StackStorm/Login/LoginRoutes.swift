package import Foundation
package import Logging
package import PetrelKit
import PetrelSupport

/// The routes for the login page: to open a link, to log in, and to confirm the login.
///
/// There are three defences against cross-site requests: the `Origin` header, a cookie with `SameSite=Strict`, and a
/// token that only the page has. No secret occurs in a URL, a log line or an error response.
package struct LoginRoutes: WebRoutes {
    private static let bodyLimit = 8 << 10

    private let logins: OneTimeLogins
    private let origins: [String: Bool]
    private let logger: Logger
    /// The command to request a link, for messages of the page.
    private let command: String
    private let limit = Locked(RateLimit(burst: 60, perSecond: 1))

    /// Creates the routes.
    ///
    /// - Parameters:
    ///   - logins: The open logins.
    ///   - pages: The URLs of the login page. Requests from any other page are rejected.
    ///   - command: The command with which users request a link in chat, such as `!st2session_start WORD`.
    ///   - logger: The logger.
    package init(_ logins: OneTimeLogins, pages: [URL], command: String, logger: Logger) {
        self.command = command
        self.logins = logins
        self.logger = logger
        origins = Dictionary(pages.map { (Self.origin(of: $0), $0.scheme?.lowercased() == "https") }) { first, _ in
            first
        }
    }

    package var routes: [WebRoute] {
        [
            WebRoute(.post, "/login/open", bodyLimit: Self.bodyLimit) { await answer($0, open) },
            WebRoute(.post, "/login/authenticate", bodyLimit: Self.bodyLimit) { await answer($0, authenticate) },
            WebRoute(.post, "/login/confirm", bodyLimit: Self.bodyLimit) { await answer($0, confirm) },
        ]
    }

    /// Returns the origin of a URL (RFC 6454) as browsers write it, without the default port.
    static func origin(of url: URL) -> String {
        let scheme = url.scheme?.lowercased() ?? ""
        let host = url.host(percentEncoded: true)?.lowercased() ?? ""
        let bracketed = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        let usual = scheme == "https" ? 443 : 80
        return "\(scheme)://\(bracketed)" + (url.port.flatMap { $0 == usual ? nil : ":\($0)" } ?? "")
    }

    /// Checks the rate, the origin and the body of a request before it is processed.
    private func answer(
        _ request: WebRequest, _ handle: (WebRequest, [String: JSONValue]) async throws -> LoginAnswer
    ) async -> WebResponse {
        do {
            let now = ContinuousClock.now
            if let seconds = limit.withLock({ $0.take(request.origin, at: now) }) {
                throw LoginAnswer(429, .slow, "Too many requests. Please wait \(seconds) s.")
                    .with("retry-after", "\(seconds)")
            }
            try checkOrigin(request)
            return try await handle(request, object(request)).response
        } catch let answer as LoginAnswer {
            // Clients that exceed the rate limit must not fill the log.
            logger.log(
                level: answer.outcome == .slow ? .debug : .notice,
                "Login page, from \(request.origin): \(answer.outcome.rawValue) (\(answer.status))")
            return answer.response
        } catch {
            logger.error("Login page, from \(request.origin): \(error)")
            return LoginAnswer(500, .failed, "An internal error occurred. Please try again.").response
        }
    }

    private func checkOrigin(_ request: WebRequest) throws(LoginAnswer) {
        let site = request.headers["sec-fetch-site"] ?? "same-origin"
        guard let origin = request.headers["origin"], origins[origin] != nil, site == "same-origin" else {
            throw LoginAnswer(403, .foreign, "This page was opened at another address than the one in your link.")
        }
    }

    private func object(_ request: WebRequest) throws(LoginAnswer) -> [String: JSONValue] {
        let type = request.headers["content-type"]?.split(separator: ";").first?.trimmingCharacters(in: .whitespaces)
        guard type?.lowercased() == "application/json" else {
            throw LoginAnswer(415, .malformed, "The content type must be application/json.")
        }
        guard !request.body.isEmpty else { throw LoginAnswer(400, .malformed, "The body is empty.") }
        guard let json = try? JSONValue.parse(request.body), let object = json.object else {
            throw LoginAnswer(400, .malformed, "The body is not a JSON object.")
        }
        return object
    }

    private func open(_ request: WebRequest, _ body: [String: JSONValue]) async throws -> LoginAnswer {
        let link = try text("link", in: body, atMost: 64)
        let opened: LoginBook.Opened
        do {
            opened = try await logins.open(link, from: request.origin)
        } catch {
            throw LoginAnswer(error, command)
        }
        return LoginAnswer(200, .opened, "")
            .with([
                "person": .string(Self.shown(opened.person)), "page": .string(opened.page),
                "token": .string(opened.token.reveal()), "seconds_left": .integer(opened.secondsLeft),
                "tries_left": .integer(opened.tries),
            ]).with("set-cookie", cookie(opened.page, opened.cookie.reveal(), lasting: opened.secondsLeft, request))
    }

    /// The secrets by which a page proves that it has opened the link.
    private struct PageKeys {
        var page: String
        var cookie: String
        var token: String
    }

    private func keys(_ request: WebRequest, _ body: [String: JSONValue]) throws(LoginAnswer) -> PageKeys {
        let page = try text("page", in: body, atMost: 64)
        guard let cookie = Self.cookies(request)[cookieName(page, request)],
            let token = request.headers["x-petrel-token"]
        else { throw LoginAnswer(LoginBook.Fault.notThisPage, command) }
        return PageKeys(page: page, cookie: cookie, token: token)
    }

    private func authenticate(_ request: WebRequest, _ body: [String: JSONValue]) async throws -> LoginAnswer {
        let word = try text("word", in: body, atMost: 256)
        let proof = try proof(body)
        let keys = try keys(request, body)
        let outcome: OneTimeLogins.Outcome
        do {
            outcome = try await logins.attempt(
                page: keys.page, cookie: keys.cookie, token: keys.token, word: word, proof, from: request.origin)
        } catch {
            throw LoginAnswer(error, command)
        }
        switch outcome {
        case .proven(let person, let account):
            logger.info("A login was verified from \(request.origin) and waits for its confirmation.")
            return LoginAnswer(200, .proven, "")
                .with(["person": .string(Self.shown(person)), "account": .string(account)])
        case .undecided(let text, let left):
            throw LoginAnswer(503, .unavailable, text).with(["tries_left": .integer(left)])
        case .wrongWord(let left):
            throw refused("That is not the word that you chose in chat.", left).with(["field": "word"])
        case .refused(let text, let left): throw refused(text, left)
        }
    }

    private func confirm(_ request: WebRequest, _ body: [String: JSONValue]) async throws -> LoginAnswer {
        guard let agrees = body["agrees"]?.bool else {
            throw LoginAnswer(400, .malformed, "agrees must be true or false.")
        }
        let account = try text("account", in: body, atMost: 1_024)
        let keys = try keys(request, body)
        do {
            guard agrees else {
                try await logins.decline(
                    page: keys.page, cookie: keys.cookie, token: keys.token, from: request.origin)
                let text =
                    "You are not logged in, and the data that you entered was discarded. You can close this page."
                return over(.declined, text, keys.page, request)
            }
            let text = try await logins.confirm(
                page: keys.page, cookie: keys.cookie, token: keys.token, account: account, from: request.origin)
            logger.info("A login was accepted from \(request.origin).")
            return over(.accepted, text, keys.page, request)
        } catch {
            throw LoginAnswer(error, command)
        }
    }

    /// Returns the last response to a page, which deletes its cookie.
    private func over(
        _ outcome: LoginAnswer.Outcome, _ text: String, _ page: String, _ request: WebRequest
    ) -> LoginAnswer {
        LoginAnswer(200, outcome, text).with("set-cookie", cookie(page, "", lasting: 0, request))
    }

    private func isSecure(_ request: WebRequest) -> Bool { origins[request.headers["origin"] ?? ""] ?? true }

    /// Returns the name of the cookie of a page. Each page has its own, so that tabs do not replace each other's.
    ///
    /// The prefix `__Host-` binds the cookie to this host and to TLS (RFC 6265bis, section 4.1.3.2). It cannot be used
    /// without TLS, on the loopback interface.
    private func cookieName(_ page: String, _ request: WebRequest) -> String {
        (isSecure(request) ? "__Host-" : "") + "petrel_login_\(page)"
    }

    private func cookie(_ page: String, _ value: String, lasting seconds: Int, _ request: WebRequest) -> String {
        "\(cookieName(page, request))=\(value); Path=/; HttpOnly; SameSite=Strict; Max-Age=\(seconds)"
            + (isSecure(request) ? "; Secure" : "")
    }

    /// Returns a name for display, without invisible characters and those that change the direction of text.
    static func shown(_ name: String) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
                shown.append("\u{FFFD}")
            default: shown.append(scalar)
            }
        }
        return String(shown)
    }

    private func refused(_ text: String, _ left: Int) -> LoginAnswer {
        if left == 0 {
            return LoginAnswer(403, .ended, "\(text) That was the last attempt: this link is no longer valid.")
        }
        return LoginAnswer(403, .refused, "\(text) \(left == 1 ? "One attempt is" : "\(left) attempts are") left.")
            .with(["tries_left": .integer(left)])
    }

    private func proof(_ body: [String: JSONValue]) throws(LoginAnswer) -> LoginProof {
        switch (body["username"], body["token"], body["api_key"]) {
        case (.some, nil, nil):
            return .password(
                name: try text("username", in: body, atMost: 256),
                password: Secret(try text("password", in: body, atMost: 1_024)))
        case (nil, .some, nil): return .token(Secret(try text("token", in: body, atMost: 4_096)))
        case (nil, nil, .some): return .apiKey(Secret(try text("api_key", in: body, atMost: 4_096)))
        default:
            throw LoginAnswer(
                400, .malformed, "Send exactly one of username and password, token, or api_key.")
        }
    }

    private func text(_ key: String, in body: [String: JSONValue], atMost limit: Int) throws(LoginAnswer) -> String {
        guard let text = body[key]?.string, !text.isEmpty else {
            throw LoginAnswer(400, .malformed, "\(key) must be a string that is not empty.")
        }
        guard text.utf8.count <= limit else { throw LoginAnswer(400, .malformed, "\(key) is too long.") }
        return text
    }

    /// Returns the cookies of a request (RFC 6265, section 4.2.1).
    private static func cookies(_ request: WebRequest) -> [String: String] {
        var cookies: [String: String] = [:]
        for pair in (request.headers["cookie"] ?? "").split(whereSeparator: { $0 == ";" || $0 == "," }) {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else { continue }
            cookies[sides[0].trimmingCharacters(in: .whitespaces)] = String(sides[1])
        }
        return cookies
    }
}
