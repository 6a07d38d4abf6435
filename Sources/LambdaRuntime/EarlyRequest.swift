import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// A request that was acknowledged before the bot was ready for it. Slack waits three seconds for that, and does not send
/// slash commands again.
struct EarlyRequest: Sendable {
    /// The time between two attempts to hand the request over. A bot tells nothing when it becomes ready.
    private static let interval = Duration.milliseconds(10)

    private let route: WebRoute
    private let request: WebRequest
    private let apologize: @Sendable (_ request: WebRequest, _ reason: String) async -> Void

    /// Creates a request; nil if requests of this route must not be acknowledged before they are handled.
    init?(_ request: WebRequest, of route: WebRoute) {
        guard let apologize = route.apology else { return nil }
        self.route = route
        self.request = request
        self.apologize = apologize
    }

    /// Hands the request over as soon as the bot is ready. If it is not in time, or stops, tells the sender.
    func handOver(until end: Date, _ logger: Logger) async {
        logger.info("A request is acknowledged, and waits until the bot is ready.")
        guard let reason = await failure(until: end) else { return }
        logger.error("A request was acknowledged and is not carried out, because \(reason).")
        // In a separate task, because the current one may be cancelled.
        await Task { await apologize(request, reason) }.value
    }

    /// Returns the reason for which the request is not handled, as a clause; nil if it is.
    private func failure(until end: Date) async -> String? {
        while true {
            let response = await route.handler(request)
            guard response.status == 503 else {
                return response.status < 400 ? nil : "the bot was ready too late"
            }
            guard Date.now < end else { return "the bot was not ready before the time-out of the function" }
            // Sleeping fails if the task is cancelled.
            guard (try? await Task.sleep(for: Self.interval)) != nil else {
                return "the bot has stopped or cannot start; its log states the reason"
            }
        }
    }
}
