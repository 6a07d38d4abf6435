/// A one-time event that any number of tasks can wait for.
public final class Signal: Sendable {
    private let state = Locked((isOpen: false, waiters: [Int: CheckedContinuation<Void, Never>](), count: 0))

    /// Creates a signal that is not open.
    public init() {}

    /// True after ``open()`` was called.
    public var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Opens the signal and resumes all waiting tasks. Further calls have no effect.
    public func open() {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            state.isOpen = true
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits until the signal is open or the current task is cancelled.
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

    /// Waits until a signal is open, the time limit has passed, or the current task is cancelled.
    public static func wait(for signal: Signal, atMost limit: Duration) async {
        await wait(for: [signal], atMost: limit)
    }

    /// Waits until all signals are open, the time limit has passed, or the current task is cancelled.
    public static func wait(for signals: [Signal], atMost limit: Duration) async {
        await withTaskGroup { group in
            group.addTask { for signal in signals { await signal.wait() } }
            // The group cancels the sleep as soon as the signals are open.
            group.addTask { try? await Task.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}
