import Foundation
package import Logging
import PetrelKit
import PetrelSupport

/// The work that requests cause.
package protocol InvocationWork: Sendable {
    /// Returns the number of requests and replies whose work is not done.
    func pendingWork() async -> Int
    /// Ends what is running for a reason, which is a clause, and queues replies that state it.
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
    /// The time for which a backend may connect. Slack waits three seconds for an answer.
    private static let patience: TimeInterval = 2.5

    private let api: LambdaAPI
    private let routes: LambdaRoutes
    private let logger: Logger
    private let work: any InvocationWork

    /// Creates a loop.
    package init(_ api: LambdaAPI, _ routes: LambdaRoutes, _ work: any InvocationWork, _ logger: Logger) {
        self.api = api
        self.routes = routes
        self.work = work
        self.logger = logger
    }

    /// Handles invocations until the task is cancelled.
    package func run() async throws {
        while !Task.isCancelled {
            let invocation = try await api.next()
            let time = invocation.deadline.timeIntervalSinceNow
            do {
                let event = try LambdaEvent(try JSONValue.parse(invocation.event))
                try await api.respond(invocation.id, await answer(event, until: invocation.deadline).lambdaResult)
            } catch let failure as LambdaAPI.Failure {
                throw failure
            } catch {
                logger.warning("An invocation is not handled: \(error)")
                try await api.fail(invocation.id, "\(error)")
            }
            // Of a short time-out, the work gets most.
            await finish(until: invocation.deadline, margin: min(Self.margin, time / 3))
        }
    }

    private func answer(_ event: LambdaEvent, until deadline: Date) async -> WebResponse {
        guard let (route, request) = routes.route(event) else { return .text("There is no such page.", status: 404) }
        if let refusal = route.refusal(request) { return refusal }
        if LambdaRoutes.isRepeated(request) {
            return WebResponse(status: 200, headers: ["x-slack-no-retry": "1"])
        }
        guard request.body.count <= route.bodyLimit else { return .text("The body is too large.", status: 413) }
        let end = min(deadline, Date.now + Self.patience)
        while true {
            let response = await route.handler(request)
            // The first invocation may come before the backend has connected. Sleeping fails if the task is cancelled.
            guard response.status == 503, Date.now < end, (try? await Task.sleep(for: .milliseconds(20))) != nil else {
                return response
            }
        }
    }

    /// Waits until the work of an invocation is done. Lambda freezes what is left at the end of its time, and it would go on
    /// in the invocation of another person, so it is ended before.
    /// - Parameter margin: The time before the deadline at which the work is ended.
    private func finish(until deadline: Date, margin: TimeInterval) async {
        var isEnding = false
        while await work.pendingWork() > 0 {
            let left = deadline.timeIntervalSinceNow
            if left < margin, !isEnding {
                isEnding = true
                logger.warning("The time of an invocation is over before its work is done; raise the time-out.")
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
