/// A queue between tasks whose reader may be cancelled, and may return later without a loss.
///
/// An `AsyncStream` ends for good when a task that waits for it is cancelled. One task reads at a time.
public final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        /// The number of elements at the beginning of the array that were taken.
        var taken = 0
        var isFinished = false
        var arrival: Signal?

        mutating func take() -> Element? {
            guard taken < elements.count else { return nil }
            let element = elements[taken]
            taken += 1
            if taken == elements.count {
                elements.removeAll(keepingCapacity: true)
                taken = 0
            } else if taken >= 1_000 {
                elements.removeFirst(taken)
                taken = 0
            }
            return element
        }
    }

    private let state = Locked(State())

    /// Creates an empty queue.
    public init() {}

    /// Adds an element.
    public func put(_ element: Element) {
        let arrival = state.withLock { state in
            defer { state.arrival = nil }
            state.elements.append(element)
            return state.arrival
        }
        arrival?.open()
    }

    /// Ends the queue. Elements that were added before can still be read.
    public func finish() {
        let arrival = state.withLock { state in
            defer { state.arrival = nil }
            state.isFinished = true
            return state.arrival
        }
        arrival?.open()
    }

    /// Waits for the next element. Returns nil at the end of the queue, or if the task is cancelled.
    public func next() async -> Element? {
        while !Task.isCancelled {
            let arrival = Signal()
            let (element, isOver) = take(orAwait: arrival)
            if isOver { return element }
            await arrival.wait()
        }
        return nil
    }

    /// Waits for the next element. Returns nil at the end of the queue, if the time limit has passed, or if the task is
    /// cancelled. An element that arrives at the limit stays in the queue.
    public func next(within limit: Duration) async -> Element? {
        let end = ContinuousClock.now + limit
        while !Task.isCancelled {
            let arrival = Signal()
            let (element, isOver) = take(orAwait: arrival)
            if isOver { return element }
            let rest = end - .now
            guard rest > .zero else { return nil }
            await Signal.wait(for: arrival, atMost: rest)
        }
        return nil
    }

    /// Returns the next element, or nil and true at the end of the queue; otherwise the signal opens when there is one.
    private func take(orAwait arrival: Signal) -> (Element?, isOver: Bool) {
        state.withLock { state in
            if let element = state.take() { return (element, true) }
            state.arrival = arrival
            return (nil, state.isFinished)
        }
    }
}
