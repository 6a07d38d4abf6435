import PetrelSupport
import PlugInProtocol

/// One run of the program of a module, and the number of its calls.
final class ProgramRun: Sendable {
    let process: PlugInProcess
    private let state = Locked((calls: 0, isRetired: false))
    private let isIdle = Signal()

    init(_ process: PlugInProcess) { self.process = process }

    /// Counts a call. Returns false if the run takes no more of them.
    func begin() -> Bool {
        state.withLock { state in
            if state.isRetired { return false }
            state.calls += 1
            return true
        }
    }

    /// Counts the end of a call.
    func end() {
        let isLast = state.withLock { state in
            state.calls -= 1
            return state.isRetired && state.calls == 0
        }
        if isLast { isIdle.open() }
    }

    /// Takes no more calls, and waits until those that are running have ended.
    func retire() async {
        let hasCalls = state.withLock { state in
            state.isRetired = true
            return state.calls > 0
        }
        if hasCalls { await isIdle.wait() }
    }
}
