extension EventStreamState {
    static let down = StackStormError(.serverFailure, "StackStorm's stream service is down")
    private static let late = StackStormError(.noAnswer, "the stream was opened, but no data was received")

    mutating func passed(_ now: Instant) -> [Action] {
        guard let deadline, now >= deadline else { return [] }
        switch phase {
        case .waiting:
            let opening = opening(now)
            phase = .opening(opening)
            return [.open(opening.number)]
        case .opening(let opening) where opening.isAnswered: return follow(opening, now)
        case .opening: return [.attempted] + closed() + fail(Self.late, wasConnected: false, now)
        case .following(var reading, _):
            let next = opening(now)
            reading.handled = []
            phase = .renewing(reading, with: next)
            return [.open(next.number)]
        case .renewing(let reading, let next): return [.close(next.number)] + keep(reading, now)
        case .handingOver, .over: return []
        }
    }

    mutating func answered(_ number: Int, _ time: StackStormTime?, _ now: Instant) -> [Action] {
        switch phase {
        case .opening(var opening) where opening.number == number:
            opening.isAnswered = true
            opening.time = time
            opening.deadline = now + limits.courtesy
            phase = .opening(opening)
            return [.attempted]
        case .renewing(let reading, var next) where next.number == number:
            next.time = time
            phase = .renewing(reading, with: next)
            return []
        default: return []
        }
    }

    mutating func received(_ items: [ServerSentEventParser.Item], from number: Int, _ now: Instant) -> [Action] {
        switch phase {
        case .opening(let opening) where opening.number == number:
            if Self.isDown(items) { return closed() + fail(Self.down, wasConnected: false, now) }
            return follow(opening, now) + pass(items, now)
        case .renewing(let reading, let next) where next.number == number:
            if Self.isDown(items) { return [.close(number)] + keep(reading, now) }
            phase = .handingOver(reading, to: next, first: items)
            health.renewals += 1
            return [.close(reading.number)]
        case .following(let reading, _), .renewing(let reading, _), .handingOver(let reading, _, _):
            return reading.number == number ? pass(items, now) : []
        default: return []
        }
    }

    mutating func ended(_ number: Int, _ error: StackStormError, _ now: Instant) -> [Action] {
        switch phase {
        case .opening(let opening) where opening.number == number:
            return [.attempted] + fail(error, wasConnected: false, now)
        case .following(let reading, _) where reading.number == number:
            return fail(error, wasConnected: true, now)
        case .renewing(let reading, let next) where reading.number == number:
            return [.close(next.number)] + fail(error, wasConnected: true, now)
        case .renewing(let reading, let next) where next.number == number: return keep(reading, now)
        case .handingOver(let reading, let next, let first) where reading.number == number:
            return follow(next, after: reading.handled ?? [], now) + pass(first, now)
        case .handingOver(_, let next, _) where next.number == number:
            return fail(error, wasConnected: true, now)
        default: return []
        }
    }

    mutating func cancelled() -> [Action] {
        let actions = closed()
        phase = .over
        health.isConnected = false
        return actions
    }

    private mutating func opening(_ now: Instant) -> Opening {
        count += 1
        return Opening(number: count, deadline: now + limits.answer)
    }

    /// Makes a connection the active one.
    ///
    /// - Parameter handled: The events of the previous connection that this one may deliver as well.
    private mutating func follow(_ opening: Opening, after handled: [ServerSentEvent] = [], _ now: Instant) -> [Action]
    {
        phase = .following(Reading(number: opening.number, repeated: handled), renewal: now)
        health.isConnected = true
        health.connections += 1
        health.problem = nil
        health.lastByte = now
        return [.connected(opening.time)]
    }

    /// Keeps the silent connection, which may still be alive, until the next attempt to open another one.
    private mutating func keep(_ reading: Reading, _ now: Instant) -> [Action] {
        var reading = reading
        reading.handled = nil
        health.problem = "the stream is silent, and no other connection can be opened"
        phase = .following(reading, renewal: now + pauses(1))
        return []
    }

    /// Waits before the next attempt. The pauses grow until a connection is established.
    mutating func fail(_ error: StackStormError, wasConnected: Bool, _ now: Instant) -> [Action] {
        // A response of a proxy for a dead stream service does not count as a connection.
        failures = wasConnected && error.code != .serverFailure ? 0 : failures + 1
        let pause = pauses(failures)
        health.isConnected = false
        health.problem = error.message
        phase = .waiting(until: now + pause)
        return [.retry(error, after: pause)]
    }

    /// Closes all connections.
    func closed() -> [Action] {
        switch phase {
        case .waiting, .over: []
        case .opening(let opening): [.close(opening.number)]
        case .following(let reading, _): [.close(reading.number)]
        case .renewing(let reading, let next): [.close(reading.number), .close(next.number)]
        // The previous connection is closed already.
        case .handingOver(_, let next, _): [.close(next.number)]
        }
    }

    /// True if a proxy, instead of StackStorm, asked the client to retry later.
    private static func isDown(_ items: [ServerSentEventParser.Item]) -> Bool {
        if case .retry? = items.first { true } else { false }
    }
}
