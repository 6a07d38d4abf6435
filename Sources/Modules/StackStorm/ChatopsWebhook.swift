import Foundation
import Logging
package import PetrelKit
package import PetrelSupport
import StackStormClient

/// `POST /chatops/message`: the same payload as an announcement, for scripts, with a bearer secret.
package struct ChatopsWebhook: WebRoutes {
    private let announcer: Announcer
    private let storage: any Storage
    private let secret: Secret?
    private let logger: Logger
    /// When it was last told that somebody does not have the secret.
    private let told = Locked<ContinuousClock.Instant?>(nil)

    /// - Parameters:
    ///   - format: how messages are written.
    ///   - allowsMentions: whether `<!channel>` and the like in them call people.
    ///   - defaultBackend: of places that several backends could have.
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

    /// Refuses a request without the secret, before its body is read.
    private func refusal(of request: WebRequest) -> WebResponse? {
        let (scheme, sent) = (request.headers["authorization"] ?? "").firstWord
        if let secret, scheme.isKeyword("bearer"), secret.matches(sent) { return nil }
        // What anybody may send as often as they like must not fill the log.
        let isFirst = told.withLock { told in
            guard told.map({ $0.duration(to: .now) > .seconds(60) }) ?? true else { return false }
            told = .now
            return true
        }
        logger.log(
            level: isFirst ? .notice : .debug,
            "A message for chat was refused from \(request.origin): the secret is missing or wrong.")
        return .text("The header Authorization must be Bearer with web.webhook_secret.", status: 403)
    }

    private func answer(_ request: WebRequest) async -> WebResponse {
        // Also for callers that have no server before it.
        if let refusal = refusal(of: request) { return refusal }
        let announcement: Announcement
        do {
            announcement = try JSONDecoder().decode(Announcement.self, from: Data(request.body))
        } catch {
            return .text("This is no message: \(JSONValue.reason(of: error)).", status: 400)
        }
        do {
            try announcer.say(announcement)
            guard await storage.written() else {
                return .text("It is on its way, but cannot be kept: the store cannot be written.", status: 202)
            }
            return .text("It is on its way.", status: 202)
        } catch {
            return .text("This cannot be delivered: \(error).", status: 400)
        }
    }
}
