extension EventStreamState {
    /// The connection whose events are handled.
    struct Reading: Sendable {
        var number: Int
        /// Events that the previous connection delivered as well.
        var repeated: [ServerSentEvent] = []
        /// Events handled since a second connection is being opened; nil if none exists.
        var handled: [ServerSentEvent]?

        /// Returns true if the previous connection delivered the same event while both were open.
        mutating func repeats(_ event: ServerSentEvent) -> Bool {
            guard !repeated.isEmpty else { return false }
            guard let index = repeated.firstIndex(of: event) else {
                // Both deliver the same events in the same order, so the previous one has delivered no later ones.
                repeated = []
                return false
            }
            repeated.remove(at: index)
            return true
        }
    }

    private var reading: Reading? {
        get {
            switch phase {
            case .following(let reading, _), .renewing(let reading, _), .handingOver(let reading, _, _): reading
            case .waiting, .opening, .over: nil
            }
        }
        set {
            guard let newValue else { return }
            switch phase {
            case .following(_, let renewal): phase = .following(newValue, renewal: renewal)
            case .renewing(_, let next): phase = .renewing(newValue, with: next)
            case .handingOver(_, let next, let first): phase = .handingOver(newValue, to: next, first: first)
            case .waiting, .opening, .over: break
            }
        }
    }

    /// Passes on a chunk of the connection that is read.
    mutating func pass(_ items: [ServerSentEventParser.Item], _ now: Instant) -> [Action] {
        guard var reading else { return [] }
        health.lastByte = now
        var events: [ServerSentEvent] = []
        var actions: [Action] = []
        var isDown = false
        for item in items where !isDown {
            switch item {
            case .event(let event): if !reading.repeats(event) { events.append(event) }
            case .retry: isDown = true
            case .oversized(let name, let bytes):
                health.oversized += 1
                actions.append(.skipped(name: name, bytes: bytes))
            }
        }
        reading.handled?.append(contentsOf: events)
        self.reading = reading
        if !events.isEmpty { actions.append(.handle(events, from: reading.number)) }
        if case .handingOver = phase { return actions }
        if isDown { return actions + closed() + fail(Self.down, wasConnected: true, now) }
        return events.isEmpty ? actions + [.read(reading.number)] : actions
    }

    mutating func handled(_ number: Int, _ now: Instant) -> [Action] {
        if case .handingOver = phase { return [] }
        guard number == reading?.number else { return [] }
        // The time for handling events does not count as silence.
        health.lastByte = now
        return [.read(number)]
    }
}
