/// Something to wait for that happens once. Any number may wait.
public final class Signal: Sendable {
    private let state = Locked((isOpen: false, waiters: [Int: CheckedContinuation<Void, Never>](), count: 0))

    public init() {}

    public var isOpen: Bool { state.withLock { $0.isOpen } }

    public func open() {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            state.isOpen = true
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when it is open, or when the task is cancelled.
    public func wait() async {
        let id = state.withLock { state in
            state.count += 1
            return state.count
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.isOpen || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }

    /// Waits for one, at most so long.
    public static func wait(for signal: Signal, atMost limit: Duration) async {
        await wait(for: [signal], atMost: limit)
    }

    /// Waits for all of them, at most so long.
    public static func wait(for signals: [Signal], atMost limit: Duration) async {
        await withTaskGroup { group in
            group.addTask { for signal in signals { await signal.wait() } }
            // Cancelled as soon as the signals are open.
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}
