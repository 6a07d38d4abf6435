import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// The HTTP API: `POST /message`, `GET /jobs/{id}` and `GET /jobs/{id}/logs`.
final class JobRoutes: Sendable {
    /// The maximum size of a body.
    private static let bodyLimit = 64 << 10
    /// The maximum number of bytes of output in one response.
    private static let logLimit = 1 << 20

    private let center: JobCenter
    private let tokens: Tokens
    /// The requests that start jobs, by token.
    private let calls = Locked(RateLimit(burst: 20, perSecond: 1))
    /// The requests that read jobs, by token.
    private let reads = Locked(RateLimit(burst: 60, perSecond: 5))
    /// The requests without a valid token, by address.
    private let failures = Locked(RateLimit(burst: 20, perSecond: 0.5))

    init(_ center: JobCenter, _ tokens: Tokens) {
        self.center = center
        self.tokens = tokens
    }

    var routes: [WebRoute] {
        [
            WebRoute(.post, "/message", bodyLimit: Self.bodyLimit) {
                await self.answer($0, self.calls) { try await self.post($0, $1) }
            }
            .refusing { self.refusal($0) },
            WebRoute(.get, "/jobs/{id}") { await self.answer($0, self.reads) { try await self.job($0, $1) } },
            WebRoute(.get, "/jobs/{id}/logs") { await self.answer($0, self.reads) { try await self.logs($0, $1) } },
        ]
    }

    private func answer(
        _ request: WebRequest, _ limit: Locked<RateLimit>,
        _ handle: (WebRequest, TokenRecord) async throws -> WebResponse
    ) async -> WebResponse {
        if let refusal = refusal(request) { return refusal }
        // Another request may have revoked it meanwhile.
        guard let token = Self.secret(of: request).flatMap(tokens.token) else {
            return .text("no token found", status: 401)
        }
        if let seconds = limit.withLock({ $0.take("token \(token.id)", at: .now) }) {
            return Self.tooMany(seconds)
        }
        do {
            return try await handle(request, token)
        } catch let rejection as Rejection {
            return .text(rejection.text, status: rejection.status)
        } catch let problem as FormBody.Problem {
            return .text("\(problem)", status: 400)
        } catch let error as any ReplyError {
            return .text(error.reply, status: 503)
        } catch {
            center.host.logger.error("A request with the token \(token.id) failed: \(error)")
            return .text("Internal error; see the log.", status: 500)
        }
    }

    /// Refuses a request without a valid token before its body is read.
    private func refusal(_ request: WebRequest) -> WebResponse? {
        guard let secret = Self.secret(of: request) else { return .text("no token", status: 400) }
        if tokens.token(secret) != nil { return nil }
        // Senders repeat a request after this status, and give up after 401.
        if !tokens.isRestored { return .text("the tokens cannot be read yet", status: 503) }
        if let seconds = failures.withLock({ $0.take(request.origin, at: .now) }) { return Self.tooMany(seconds) }
        return .text("no token found", status: 401)
    }

    private static func tooMany(_ seconds: Int) -> WebResponse {
        var response = WebResponse.text("too many requests", status: 429)
        response.headers["retry-after"] = "\(seconds)"
        return response
    }

    /// Returns the secret in the header `TOKEN` or `Authorization: Bearer`; nil without these headers.
    private static func secret(of request: WebRequest) -> Secret? {
        let bearer = request.headers["authorization"].flatMap { header -> String? in
            let (scheme, rest) = header.firstWord
            return scheme.isKeyword("bearer") ? rest : nil
        }
        let texts = [request.headers["token"], bearer].compactMap { $0?.words.joined(separator: " ") }
        return texts.first { !$0.isEmpty }.map { Secret($0) }
    }

    /// Handles `POST /message`.
    private func post(_ request: WebRequest, _ token: TokenRecord) async throws -> WebResponse {
        let message = try FormBody.value(
            "message", query: request.query, contentType: request.headers["content-type"] ?? "", body: request.body)
        let line = message.map { $0.isBlank ? token.line : "\(token.line) \($0)" } ?? token.line
        let job = try await center.start(line, with: token)
        return try .json(["job": JSONValue.integer(job.id)], status: 202)
    }

    /// Handles `GET /jobs/{id}`.
    private func job(_ request: WebRequest, _ token: TokenRecord) async throws -> WebResponse {
        try .json(JSONValue.object(Self.json(try await record(request, token))))
    }

    /// Handles `GET /jobs/{id}/logs?from=N`.
    private func logs(_ request: WebRequest, _ token: TokenRecord) async throws -> WebResponse {
        let record = try await record(request, token)
        var place: Int64 = 0
        if let text = try FormBody.urlencoded("from", Array(request.query.utf8)) {
            guard let number = Int64(text), number >= 0 else {
                throw Rejection(status: 400, text: "from must be a number of bytes")
            }
            place = number
        }
        let part = try await center.logs.read(record.key, from: place, limit: Self.logLimit)
        guard place <= part.extent.end else {
            throw Rejection(status: 416, text: "the output has \(part.extent.end) bytes")
        }
        return WebResponse(
            status: 200,
            headers: [
                "content-type": "text/plain; charset=utf-8", "petrel-job-status": record.status.rawValue,
                "petrel-log-place": "\(part.place)", "petrel-log-next": "\(part.next)",
                "petrel-log-size": "\(part.extent.end)",
            ], body: part.bytes)
    }

    /// Returns the job of a request, if the token has started it.
    private func record(_ request: WebRequest, _ token: TokenRecord) async throws -> JobRecord {
        // Only the number as Petrel writes it.
        guard let text = request.parameters["id"], let id = Int(text), text.utf8.elementsEqual("\(id)".utf8),
            let record = try await center.book.job(id), record.token == token.id
        else { throw Rejection(status: 404, text: "no such job of this token") }
        return record
    }

    private static func json(_ job: JobRecord) -> [String: JSONValue] {
        func time(_ date: Date?) -> JSONValue {
            date.map { .string(UTCTime.text(Int64(clampingWhole: $0.timeIntervalSince1970)) + "Z") } ?? .null
        }
        return [
            "job": .integer(job.id), "command": .string(job.command),
            "args": .array(job.arguments.map { .string($0) }), "status": .string(job.status.rawValue),
            "reason": job.reason.map { .string($0) } ?? .null,
            "exit_code": job.exitCode.map { .integer(Int($0)) } ?? .null,
            "signal": job.signal.map { .integer(Int($0)) } ?? .null, "created": time(job.created),
            "started": time(job.started), "ended": time(job.ended), "note": job.note.map { .string($0) } ?? .null,
            "duration": .number((job.duration() * 1_000).rounded() / 1_000),
        ]
    }
}

/// An error with its response.
struct Rejection: Error {
    var status: Int
    var text: String
}
