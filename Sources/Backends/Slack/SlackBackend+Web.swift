import Foundation
public import PetrelKit

/// HTTP mode: the Events API and slash commands come as requests (https://docs.slack.dev/apis/events-api).
extension SlackBackend: WebRoutes {
    public var routes: [WebRoute] {
        guard let secret = settings.signingSecret else { return [] }
        let signature = SlackSignature(secret)
        return [
            WebRoute(.post, "/\(name)/events") { await self.answer($0, signature, Self.event) },
            WebRoute(.post, "/\(name)/commands") { await self.answer($0, signature, Self.command) },
        ]
    }

    /// What a request holds.
    private enum Content {
        case envelope(SlackEnvelope)
        /// Slack asks whether this is the right address.
        case challenge(String)
    }

    /// Acknowledged at once: what it asks for is done afterwards. Slack repeats what was refused.
    private func answer(
        _ request: WebRequest, _ signature: SlackSignature, _ read: (WebRequest) -> Content?
    ) async -> WebResponse {
        guard signature.isRight(request.headers, request.body) else {
            return .text("The signature is not Slack's, or the request is too old.", status: 401)
        }
        switch read(request) {
        case nil: return .text("This is nothing that Slack sends.", status: 400)
        case .challenge(let challenge):
            return WebResponse(
                status: 200, headers: ["content-type": "text/plain; charset=utf-8"], body: Array(challenge.utf8))
        case .envelope(let envelope):
            guard take(envelope) else { return .text("The bot does not take messages at the moment.", status: 503) }
            return WebResponse(status: 200)
        }
    }

    private static func event(_ request: WebRequest) -> Content? {
        guard let json = try? JSONValue.parse(request.body) else { return nil }
        if json["type"] == "url_verification" { return json["challenge"]?.string.map { .challenge($0) } }
        return json["type"] == "event_callback" ? .envelope(.event(json)) : nil
    }

    private static func command(_ request: WebRequest) -> Content? {
        var components = URLComponents()
        components.percentEncodedQuery = String(decoding: request.body, as: UTF8.self).replacing("+", with: "%20")
        guard let items = components.queryItems else { return nil }
        let payload = items.reduce(into: [String: JSONValue]()) { $0[$1.name] = .string($1.value ?? "") }
        return payload["command"] == nil ? nil : .envelope(.command(.object(payload)))
    }
}
