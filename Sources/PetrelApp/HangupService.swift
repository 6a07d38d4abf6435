import ServiceLifecycle
import UnixSignals

/// A service that calls a closure at each SIGHUP.
struct HangupService: Service {
    let reload: @Sendable () -> Void

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() { reload() }
    }
}
