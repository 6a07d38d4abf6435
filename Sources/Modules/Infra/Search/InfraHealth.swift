import AWSClient
import Foundation
import Logging
import PetrelSupport

/// The last answers and errors of each account and region.
final class InfraHealth: Sendable {
    /// The state of one account and region.
    struct Entry: Sendable {
        /// The time of the last good answer; nil if there was none.
        var lastGood: Date?
        /// The last error and its time; nil if there was none.
        var lastError: (error: AWSError, at: Date)?
        /// True if the last call failed.
        var isFailing = false
    }

    private let entries: Locked<[InfraPlace: Entry]>
    private let logger: Logger

    /// Creates a state without answers. The logger receives each change.
    init(_ places: [InfraPlace], _ logger: Logger) {
        self.logger = logger
        entries = Locked(Dictionary(places.map { ($0, Entry()) }) { first, _ in first })
    }

    /// Stores the outcome of a call; nil for a good answer.
    func note(_ error: AWSError?, _ place: InfraPlace, at now: Date = .now) {
        let before = entries.withLock { entries in
            var entry = entries[place] ?? Entry()
            defer { entries[place] = entry }
            let before = entry.isFailing ? entry.lastError?.error : nil
            entry.isFailing = error != nil
            if let error { entry.lastError = (error, now) } else { entry.lastGood = now }
            return before
        }
        guard error != before else { return }
        let name = "The account \(Printable.name(place.account)) in \(place.region)"
        if let error {
            logger.warning("\(name) cannot be searched: \(error.clause)")
        } else {
            logger.notice("\(name) can be searched again.")
        }
    }

    subscript(place: InfraPlace) -> Entry { entries.value[place] ?? Entry() }

    /// The number of accounts and regions whose last call failed, and the time of the last good answer.
    var summary: (failing: Int, lastGood: Date?) {
        let all = entries.value.values
        return (all.filter(\.isFailing).count, all.compactMap(\.lastGood).max())
    }
}
