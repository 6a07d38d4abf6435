import Foundation
package import Logging
import PetrelKit
import PetrelSupport

/// The work that requests cause.
package protocol InvocationWork: Sendable {
    /// Waits until plug-ins are loaded, for a limited time.
    func prepare(atMost limit: Duration) async
    /// Returns the number of requests and replies whose work is not done.
    func pendingWork() async -> Int
    /// Ends what is running for a reason, which is a clause, and queues replies that state it. What is being ended already
    /// is left alone.
    func end(_ reason: String)
    /// Gives up the replies that are not sent.
    func giveUpReplies(_ reason: String)
}

/// Handles the invocations of a function one after the other: answers the request at once, and asks for the next
/// invocation when its work is done, because Lambda freezes the process then.
package struct LambdaLoop: Sendable {
    /// The time before the end of an invocation at which the work that is left is ended, and its last messages are sent.
    private static let margin: TimeInterval = 3
    /// The time before the end of an invocation at which it is given up.
    private static let lastMargin: TimeInterval = 0.3
    /// The time between two looks at the pending work. Parts that work tell nothing when they end.
    private static let interval = Duration.milliseconds(2)
    /// The time for which a request that cannot be acknowledged at once waits until the bot is ready.
    private static let patience: TimeInterval = 2.5

    /// The time in which a process that is started in advance may load plug-ins. Lambda permits 130 seconds.
    private static let preparation = Duration.seconds(120)

    private let api: LambdaAPI
    private let routes: LambdaRoutes
    private let logger: Logger
    private let work: any InvocationWork
    private let isProvisioned: Bool

    /// Creates a loop.
    /// - Parameter isProvisioned: whether Lambda has started the process before there is a request for it, and freezes it
    ///   until then.
    package init(
        _ api: LambdaAPI, _ routes: LambdaRoutes, _ work: any InvocationWork, isProvisioned: Bool, _ logger: Logger
    ) {
        self.isProvisioned = isProvisioned
        self.api = api
        self.routes = routes
        self.work = work
        self.logger = logger
    }

    /// Handles invocations until the task is cancelled.
    package func run() async throws {
        // Otherwise Slack waits, and the request is acknowledged first.
        if isProvisioned { await work.prepare(atMost: Self.preparation) }
        while !Task.isCancelled {
            let invocation = try await api.next()
            // Of a short time-out, the work gets most.
            let margin = min(Self.margin, invocation.deadline.timeIntervalSinceNow / 3)
            let early = try await handle(invocation, margin)
            await early?.handOver(until: invocation.deadline - margin, logger)
            await finish(until: invocation.deadline, margin: margin)
        }
    }

    /// Sends the response of an invocation.
    /// - Returns: the request if it was acknowledged before the bot is ready for it.
    private func handle(_ invocation: LambdaAPI.Invocation, _ margin: TimeInterval) async throws -> EarlyRequest? {
        var early: EarlyRequest?
        do {
            let event = try JSONValue.parse(invocation.event)
            if LambdaEvent.isScheduled(event) {
                try await api.respond(invocation.id, [:])
                await work.prepare(atMost: .seconds(invocation.deadline.timeIntervalSinceNow - margin))
            } else {
                let response = await answer(try LambdaEvent(event), until: invocation.deadline, &early)
                try await api.respond(invocation.id, response.lambdaResult)
            }
        } catch let failure as LambdaAPI.Failure {
            throw failure
        } catch {
            logger.warning("An invocation is not handled: \(error)")
            try await api.fail(invocation.id, "\(error)")
        }
        return early
    }

    /// Returns the response to a request.
    /// - Parameter early: is set to the request if it is acknowledged before the bot is ready for it.
    private func answer(_ event: LambdaEvent, until deadline: Date, _ early: inout EarlyRequest?) async -> WebResponse {
        guard let (route, request) = routes.route(event) else { return routes.refusal(of: event) }
        if let refusal = route.refusal(request) { return refusal }
        if LambdaRoutes.isRepeated(request) {
            logger.info("Slack has sent an event again, whose first request was late; this one is not run.")
            return WebResponse(status: 200, headers: ["x-slack-no-retry": "1"])
        }
        guard request.body.count <= route.bodyLimit else { return .text("The body is too large.", status: 413) }
        let end = min(deadline, Date.now + Self.patience)
        while true {
            let response = await route.handler(request)
            guard response.status == 503 else { return response }
            // The first invocation may come before the bot is ready.
            early = EarlyRequest(request, of: route)
            if early != nil { return WebResponse(status: 200) }
            // Sleeping fails if the task is cancelled.
            guard Date.now < end, (try? await Task.sleep(for: .milliseconds(20))) != nil else { return response }
        }
    }

    /// Waits until the work of an invocation is done. Lambda freezes what is left at the end of its time, and it would go on
    /// in the invocation of another person, so it is ended before.
    /// - Parameter margin: The time before the deadline at which the work is ended.
    private func finish(until deadline: Date, margin: TimeInterval) async {
        var isEnding = false
        while await work.pendingWork() > 0 {
            let left = deadline.timeIntervalSinceNow
            if left < margin {
                if !isEnding {
                    logger.warning("The time of an invocation is over before its work is done; raise the time-out.")
                }
                isEnding = true
                // Also what has begun since the last call, such as a request that came early.
                work.end("the time-out of the function was reached")
            }
            guard left > Self.lastMargin else {
                return work.giveUpReplies("the time-out of the function was reached before it was sent")
            }
            // Sleeping fails if the task is cancelled.
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return }
        }
    }
}
