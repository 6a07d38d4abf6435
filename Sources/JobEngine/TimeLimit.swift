import Dispatch

/// A time limit, which calls a closure once when it is over, unless it was cancelled before. A cancelled limit keeps no memory,
/// unlike a cancelled `Task.sleep`, which stays in a queue until its time is over.
package final class TimeLimit: Sendable {
    /// It may be used by any thread, which the module Dispatch does not declare.
    private nonisolated(unsafe) let timer: any DispatchSourceTimer

    /// Starts the time.
    package init(_ limit: Duration, _ call: @escaping @Sendable () -> Void) {
        timer = DispatchSource.makeTimerSource(queue: .global())
        let (seconds, attoseconds) = limit.components
        let nanoseconds = Int(clamping: attoseconds / 1_000_000_000)
        timer.schedule(deadline: .now() + .seconds(Int(clamping: seconds)) + .nanoseconds(nanoseconds))
        timer.setEventHandler(handler: call)
        timer.activate()
    }

    /// Ends the limit. Further calls have no effect.
    package func cancel() { timer.cancel() }

    deinit { timer.cancel() }
}
