package import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting

/// Wakes a test that waits for a condition whenever something has changed that the condition may depend on.
package final class Changes: Sendable {
    private let next = Locked(Signal())

    package init() {}

    /// A logger for which each line is a change.
    package var logger: Logger {
        Logger(label: "test") { _ in CollectingLogHandler { [weak self] _ in self?.note() } }
    }

    /// Wakes those who wait, who then look at their conditions again.
    package func note() {
        let signal = next.withLock { next in
            defer { next = Signal() }
            return next
        }
        signal.open()
    }

    /// Waits until the condition holds. Throws ``Refusal`` with these words after five minutes.
    package func wait(until words: String, _ condition: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(300)
        while true {
            // Before the condition is looked at, so that no change is missed.
            let change = next.value
            if try await condition() { return }
            guard ContinuousClock.now < end else { throw Refusal("not within five minutes: \(words)") }
            await Signal.wait(for: change, atMost: end - .now)
            try Task.checkCancellation()
        }
    }
}
