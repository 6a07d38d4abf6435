import ServiceLifecycle
import UnixSignals

/// Calls a closure at every SIGHUP.
struct HangupService: Service {
    let reload: @Sendable () -> Void

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() { reload() }
    }
}
