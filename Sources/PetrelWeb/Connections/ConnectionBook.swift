/// The bookkeeping of open connections: the number of each address, and the times since which they wait for a request.
struct ConnectionBook {
    enum Admission: Equatable {
        /// The connection is accepted.
        case admitted
        /// The connection is accepted, and the connection with this number must be closed.
        case instead(of: Int)
        /// The connection is rejected, because responses are in progress on all connections that could be closed.
        case refused
    }

    private struct Entry {
        /// Nil for a trusted proxy.
        var address: String?
        /// The time since which the connection waits for a complete request, or nil while a response is in progress.
        var waitingSince: ContinuousClock.Instant?
    }

    private let most: Int
    private let mostOfAddress: Int
    private var entries: [Int: Entry] = [:]
    private var counts: [String: Int] = [:]

    init(_ limits: WebLimits) {
        most = limits.connections
        mostOfAddress = limits.connectionsOfAddress
    }

    var count: Int { entries.count }

    /// Registers a connection.
    ///
    /// - Parameter address: The client address, or nil for a trusted proxy, to which the limit for addresses does not
    ///   apply.
    mutating func open(_ number: Int, from address: String?, at now: ContinuousClock.Instant) -> Admission {
        let isOver = address.map { counts[$0, default: 0] >= mostOfAddress } ?? false
        guard isOver || entries.count >= most else {
            add(number, address, now)
            return .admitted
        }
        guard let other = longestWaiting(of: isOver ? address : nil) else { return .refused }
        close(other)
        add(number, address, now)
        return .instead(of: other)
    }

    mutating func close(_ number: Int) {
        guard let entry = entries.removeValue(forKey: number), let address = entry.address else { return }
        let left = counts[address, default: 0] - 1
        counts[address] = left > 0 ? left : nil
    }

    /// Notes whether a connection waits for a request. The start time is kept while it continues to wait.
    mutating func note(_ number: Int, isWaiting: Bool, at now: ContinuousClock.Instant) {
        guard let entry = entries[number] else { return }
        entries[number]?.waitingSince = isWaiting ? entry.waitingSince ?? now : nil
    }

    private mutating func add(_ number: Int, _ address: String?, _ now: ContinuousClock.Instant) {
        entries[number] = Entry(address: address, waitingSince: now)
        if let address { counts[address, default: 0] += 1 }
    }

    /// Returns the number of the connection that has been waiting longest.
    ///
    /// - Parameter address: A client address, or nil for all connections.
    private func longestWaiting(of address: String?) -> Int? {
        var found: (number: Int, since: ContinuousClock.Instant)?
        for (number, entry) in entries where address == nil || entry.address == address {
            guard let since = entry.waitingSince else { continue }
            if let best = found, (best.since, best.number) <= (since, number) { continue }
            found = (number, since)
        }
        return found?.number
    }
}
