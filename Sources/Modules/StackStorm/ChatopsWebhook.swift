import Foundation
public import PetrelKit
import StackStormClient

/// `POST /chatops/message`: the same payload as an announcement, for scripts, with a bearer secret.
public struct ChatopsWebhook: WebRoutes {
    private let announcer: Announcer
    private let storage: any Storage
    private let secret: Secret?

    /// - Parameters:
    ///   - format: how messages are written.
    ///   - defaultBackend: of places that several backends could have.
    public init(host: some ModuleHost, secret: Secret?, format: ResultFormat = .text, defaultBackend: String? = nil) {
        announcer = Announcer(host: host, writer: ResultWriter(format: format), defaultBackend: defaultBackend)
        storage = host.storage
        self.secret = secret
    }

    public var routes: [WebRoute] { [WebRoute(.post, "/chatops/message") { await answer($0) }] }

    private func answer(_ request: WebRequest) async -> WebResponse {
        let words = (request.headers["authorization"] ?? "").split(separator: " ", maxSplits: 1)
        guard let secret, words.count == 2, words[0].lowercased() == "bearer", secret.matches(String(words[1])) else {
            return .text("The header Authorization must be Bearer with web.webhook_secret.", status: 403)
        }
        let announcement: Announcement
        do {
            announcement = try JSONDecoder().decode(Announcement.self, from: Data(request.body))
        } catch {
            return .text("This is no message: \(JSONValue.reason(of: error)).", status: 400)
        }
        do {
            try announcer.say(announcement)
            guard await storage.written() else {
                return .text("It is on its way, but cannot be kept: the store takes nothing.", status: 202)
            }
            return .text("It is on its way.", status: 202)
        } catch {
            return .text("This cannot be delivered: \(error).", status: 400)
        }
    }
}
