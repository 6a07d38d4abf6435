import Foundation
import Logging
package import PetrelKit
package import PetrelSupport
import StackStormClient

/// The endpoint `POST /chatops/message`, with which scripts post messages. The body is the payload of an announcement,
/// and the bearer token is `web.webhook_secret`.
package struct ChatopsWebhook: WebRoutes {
    private let announcer: Announcer
    private let storage: any Storage
    private let secret: Secret?
    private let logger: Logger
    /// The time of the last log line at level notice about a request without the secret.
    private let told = Locked<ContinuousClock.Instant?>(nil)

    /// Creates the endpoint.
    ///
    /// - Parameters:
    ///   - host: The host of the module.
    ///   - secret: The bearer token. Without one, all requests are rejected.
    ///   - format: The notation of messages.
    ///   - allowsMentions: True if mentions such as `<!channel>` notify people.
    ///   - defaultBackend: The backend for the names of places that several backends can have.
    package init(
        host: ModuleHost, secret: Secret?, format: ResultFormat = .text, allowsMentions: Bool = false,
        defaultBackend: String? = nil
    ) {
        announcer = Announcer(
            chat: host.chat, places: host.places, ledger: host.storage.ledger, metrics: host.metrics,
            logger: host.logger, writer: ResultWriter(format: format, allowsMentions: allowsMentions),
            defaultBackend: defaultBackend)
        storage = host.storage
        logger = host.logger
        self.secret = secret
    }

    package var routes: [WebRoute] {
        [WebRoute(.post, "/chatops/message") { await answer($0) }.refusing { refusal(of: $0) }]
    }

    /// Returns the response to a request without the secret, before its body is read; nil for any other request.
    private func refusal(of request: WebRequest) -> WebResponse? {
        let (scheme, sent) = (request.headers["authorization"] ?? "").firstWord
        if let secret, scheme.isKeyword("bearer"), secret.matches(sent) { return nil }
        // Requests without authentication must not fill the log.
        let isFirst = told.withLock { told in
            guard told.map({ $0.duration(to: .now) > .seconds(60) }) ?? true else { return false }
            told = .now
            return true
        }
        logger.log(
            level: isFirst ? .notice : .debug,
            "A message from \(request.origin) was rejected: the webhook secret is missing or wrong.")
        return .text("The Authorization header must be `Bearer` followed by web.webhook_secret.", status: 403)
    }

    private func answer(_ request: WebRequest) async -> WebResponse {
        // The web server has checked this already; callers without a server have not.
        if let refusal = refusal(of: request) { return refusal }
        let announcement: Announcement
        do {
            announcement = try JSONValue.parse(request.body).decoded()
        } catch {
            let reason = JSONValue.reason(of: error, in: request.body)
            return .text("The body is not a valid message: \(reason).", status: 400)
        }
        do {
            try announcer.say(announcement)
            guard await storage.written() else {
                return .text(
                    "The message was accepted, but could not be stored: database writes are failing.", status: 202)
            }
            return .text("The message was accepted.", status: 202)
        } catch {
            return .text("The message cannot be delivered: \(error).", status: 400)
        }
    }
}
