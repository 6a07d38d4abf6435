import Foundation
package import Logging
import PetrelKit
import PetrelSupport

/// Handles the invocations of a function one after the other: answers the request at once, and asks for the next
/// invocation when its work is done, because Lambda freezes the process then.
package struct LambdaLoop: Sendable {
    /// The time before the end of an invocation that is left for its last messages.
    private static let margin: TimeInterval = 0.3
    /// The time between two looks at the pending work. Parts that work tell nothing when they end.
    private static let interval = Duration.milliseconds(2)
    /// The time for which a backend may connect. Slack waits three seconds for an answer.
    private static let patience: TimeInterval = 2.5

    private let api: LambdaAPI
    private let routes: LambdaRoutes
    private let logger: Logger
    private let pendingWork: @Sendable () async -> Int

    /// Creates a loop.
    /// - Parameter pendingWork: Returns the number of requests whose work is not done.
    package init(
        _ api: LambdaAPI, _ routes: LambdaRoutes, _ logger: Logger, pendingWork: @escaping @Sendable () async -> Int
    ) {
        self.api = api
        self.routes = routes
        self.logger = logger
        self.pendingWork = pendingWork
    }

    /// Handles invocations until the task is cancelled.
    package func run() async throws {
        while !Task.isCancelled {
            let invocation = try await api.next()
            do {
                let event = try LambdaEvent(try JSONValue.parse(invocation.event))
                try await api.respond(invocation.id, await answer(event, until: invocation.deadline).lambdaResult)
            } catch let failure as LambdaAPI.Failure {
                throw failure
            } catch {
                logger.warning("An invocation is not handled: \(error)")
                try await api.fail(invocation.id, "\(error)")
            }
            await finish(until: invocation.deadline)
        }
    }

    private func answer(_ event: LambdaEvent, until deadline: Date) async -> WebResponse {
        guard let (route, request) = routes.route(event) else { return .text("There is no such page.", status: 404) }
        if let refusal = route.refusal(request) { return refusal }
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

    /// Waits until the work of an invocation is done, or its time is over.
    private func finish(until deadline: Date) async {
        while await pendingWork() > 0 {
            guard deadline.timeIntervalSinceNow > Self.margin else {
                return logger.warning("The time of an invocation is over before its work is done; raise the time-out.")
            }
            // Sleeping fails if the task is cancelled.
            guard (try? await Task.sleep(for: Self.interval)) != nil else { return }
        }
    }
}
