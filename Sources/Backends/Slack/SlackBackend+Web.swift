import Foundation
import Logging
package import PetrelKit
import PetrelSupport

/// HTTP mode: Slack delivers events, slash commands and interactions as requests
/// (https://docs.slack.dev/apis/events-api).
extension SlackBackend: WebRoutes {
    /// The request URLs for events, slash commands and interactivity; empty without a signing secret.
    package var routes: [WebRoute] {
        guard let secret = settings.signingSecret else { return [] }
        let signature = SlackSignature(secret)
        let kinds: [(String, @Sendable (WebRequest) -> Content?)] = [
            ("events", Self.event), ("commands", Self.command), ("interactivity", Self.interaction),
        ]
        return kinds.map { path, read in
            WebRoute(.post, "/\(name)/\(path)") { await self.answer($0, signature, read) }
                .apologizing { await self.apologize(read($0), $1) }
        }
    }

    /// The content of a request.
    private enum Content {
        case envelope(SlackEnvelope)
        /// A `url_verification` request, which is answered with its challenge.
        case challenge(String)
        /// An `ssl_check` request, with which Slack verifies the certificate.
        case check
        /// The notice that Slack withholds events (`app_rate_limited`).
        case limited
    }

    /// Acknowledges a request immediately; the envelope is processed afterwards. Slack retries a request that was
    /// answered with an error status.
    private func answer(
        _ request: WebRequest, _ signature: SlackSignature, _ read: (WebRequest) -> Content?
    ) async -> WebResponse {
        guard signature.isRight(request.headers, request.body) else {
            return .text("The request signature is invalid or has expired.", status: 401)
        }
        switch read(request) {
        case .check: return WebResponse(status: 200)
        case .limited:
            logger.warning("Slack withholds events of a minute, because the app received more than 30,000 in an hour.")
            return WebResponse(status: 200)
        case nil: return .text("The request is not one that Slack sends.", status: 400)
        case .challenge(let challenge):
            return WebResponse(
                status: 200, headers: ["content-type": "text/plain; charset=utf-8"], body: Array(challenge.utf8))
        case .envelope(let envelope):
            guard take(envelope) else { return .text("The bot is not accepting messages at the moment.", status: 503) }
            return WebResponse(status: 200)
        }
    }

    /// Tells the person who sent a request why it is not carried out. Events name no address to which a bot that is not
    /// connected could answer.
    private func apologize(_ content: Content?, _ reason: String) async {
        let text = "This command was not run, because \(reason). Please send it again later."
        switch content {
        case .envelope(.command(let payload)): await sender.explain(text, at: SlackCommand(payload)?.responseURL)
        case .envelope(.interaction(let payload)):
            guard let interaction = SlackInteraction(payload, shortcuts: settings.shortcuts) else { return }
            if let url = interaction.responseURL { return await sender.explain(text, at: url) }
            await sender.tell(
                text, asking: interaction.id, in: interaction.channel ?? interaction.user, of: interaction.user,
                isDirect: interaction.isDirect, thread: interaction.thread)
        case .envelope, .challenge, .check, .limited, nil: break
        }
    }

    private static func event(_ request: WebRequest) -> Content? {
        guard let json = try? JSONValue.parse(request.body) else { return nil }
        if json["type"] == "url_verification" { return json["challenge"]?.string.map { .challenge($0) } }
        if json["type"] == "app_rate_limited" { return .limited }
        return json["type"] == "event_callback" ? .envelope(.event(json)) : nil
    }

    private static func command(_ request: WebRequest) -> Content? {
        guard let fields = form(request.body) else { return nil }
        if fields["ssl_check"] == "1" { return .check }
        guard fields["command"] != nil else { return nil }
        return .envelope(.command(.object(fields.mapValues { .string($0) })))
    }

    /// Reads a form whose only field, `payload`, contains JSON.
    private static func interaction(_ request: WebRequest) -> Content? {
        guard let payload = form(request.body)?["payload"], let json = try? JSONValue.parse(payload.utf8) else {
            return nil
        }
        return .envelope(.interaction(json))
    }

    /// Decodes `application/x-www-form-urlencoded`. Returns nil if a percent-encoding is invalid.
    static func form(_ body: [UInt8]) -> [String: String]? {
        var fields: [String: String] = [:]
        for pair in String(decoding: body, as: UTF8.self).split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let decoded = parts.map { $0.replacing("+", with: " ").removingPercentEncoding }
            guard let name = decoded[0] else { return nil }
            guard decoded.count > 1 else {
                fields[name] = ""
                continue
            }
            guard let value = decoded[1] else { return nil }
            fields[name] = value
        }
        return fields
    }
}
