/// The open connections, as a value: how many each address has, and which has waited longest for its request.
struct ConnectionBook {
    enum Admission: Equatable {
        case admitted
        /// Admitted; the connection with this number has to close.
        case instead(of: Int)
        /// Every connection that could make room is being answered.
        case refused
    }

    private struct Entry {
        /// Nil for a trusted proxy.
        var address: String?
        /// When the connection began to wait for a whole request; nil while one is answered.
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

    /// - Parameter address: nil for a trusted proxy, which has no limit of its own.
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

    /// A connection that goes on waiting has waited since it began.
    mutating func note(_ number: Int, isWaiting: Bool, at now: ContinuousClock.Instant) {
        guard let entry = entries[number] else { return }
        entries[number]?.waitingSince = isWaiting ? entry.waitingSince ?? now : nil
    }

    private mutating func add(_ number: Int, _ address: String?, _ now: ContinuousClock.Instant) {
        entries[number] = Entry(address: address, waitingSince: now)
        if let address { counts[address, default: 0] += 1 }
    }

    /// - Parameter address: nil for all.
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
