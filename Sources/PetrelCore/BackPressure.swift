import PetrelSupport

/// The back-pressure on backends: it counts the waiting jobs of each backend, and suspends a backend that has too many.
final class BackPressure: Sendable {
    private struct Load {
        var waiting = 0
        /// A signal that is opened when the number of waiting jobs falls below the limit; nil if no task waits for it.
        var relief: Signal?
    }

    private let limit: Int
    private let loads = Locked<[String: Load]>([:])

    /// - Parameter limit: the number of waiting jobs from which on a backend is suspended.
    init(limit: Int) {
        self.limit = limit
    }

    /// Waits until a backend has fewer waiting jobs than the limit, or the current task is cancelled.
    func wait(for backend: String) async {
        // Several tasks may wait for the same relief, so the number is checked again.
        while !Task.isCancelled, let relief = relief(for: backend) { await relief.wait() }
    }

    private func relief(for backend: String) -> Signal? {
        loads.withLock { loads in
            guard var load = loads[backend], load.waiting >= limit else { return nil }
            let relief = load.relief ?? Signal()
            load.relief = relief
            loads[backend] = load
            return relief
        }
    }

    /// Records that a job of a backend has to wait.
    func added(_ backend: String) { loads.withLock { $0[backend, default: Load()].waiting += 1 } }

    /// Records that a waiting job of a backend runs.
    func removed(_ backend: String) {
        let relief: Signal? = loads.withLock { loads in
            var load = loads[backend, default: Load()]
            load.waiting -= 1
            defer { loads[backend] = load }
            guard load.waiting < limit else { return nil }
            defer { load.relief = nil }
            return load.relief
        }
        relief?.open()
    }
}
