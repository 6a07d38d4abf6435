import Logging
import PetrelSupport

/// Limits the rate at which the lines of a plug-in are logged, and counts the lines that are left out.
final class LogGate: Sendable {
    private let name: String
    private let logger: Logger
    private let state: Locked<(throttle: Throttle, dropped: Int)>

    init(_ name: String, perSecond: Double, _ logger: Logger) {
        self.name = name
        self.logger = logger
        state = Locked((Throttle(burst: perSecond, perSecond: perSecond), 0))
    }

    /// Returns true if a line may be logged now.
    func opens() -> Bool {
        let (isOpen, dropped) = state.withLock { state in
            guard state.throttle.takeOne(at: .now) else {
                state.dropped += 1
                return (false, 0)
            }
            defer { state.dropped = 0 }
            return (true, state.dropped)
        }
        report(dropped)
        return isOpen
    }

    /// Logs the number of lines that were left out since the last report.
    func report() {
        report(
            state.withLock { state in
                defer { state.dropped = 0 }
                return state.dropped
            })
    }

    private func report(_ dropped: Int) {
        if dropped > 0 { logger.notice("\(dropped) lines of the plug-in \(name) were not logged.") }
    }
}
