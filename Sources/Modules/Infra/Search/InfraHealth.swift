import AWSClient
import Foundation
import Logging
import PetrelSupport

/// The last answers and errors of each account and region.
final class InfraHealth: Sendable {
    /// The state of one account and region.
    struct Entry: Sendable {
        /// The time of the last good answer; nil before the first one.
        var lastGood: Date?
        /// The last error and its time; nil before the first one.
        var lastError: (error: AWSError, at: Date)?
        /// True if the last call failed.
        var isFailing = false
        /// True if there is a session; false before the first check as well.
        var hasSession = false
        /// True if there was no session when the sessions were last checked.
        var lacksSession = false
    }

    private let entries: Locked<[InfraPlace: Entry]>
    private let logger: Logger
    /// The changes that were not yet logged; nil for a place that can be searched again.
    private let changes = Locked<[(place: InfraPlace, error: AWSError?)]>([])

    /// Creates a state without answers. The logger receives the changes with ``report()``.
    init(_ places: [InfraPlace], _ logger: Logger) {
        self.logger = logger
        entries = Locked(Dictionary(places.map { ($0, Entry()) }) { first, _ in first })
    }

    /// Stores the outcome of a search; nil for a good answer.
    func note(_ error: AWSError?, _ place: InfraPlace) {
        change(place, error) { entry in
            entry.isFailing = error != nil
            if error == nil {
                entry.lastGood = .now
                entry.lacksSession = false
                entry.hasSession = true
            }
        }
    }

    /// Stores the outcome of creating or renewing a session; nil for success, after which an error of a search remains.
    func note(session error: AWSError?, _ place: InfraPlace) {
        change(place, error) { entry in
            entry.isFailing = error != nil || entry.isFailing && !entry.lacksSession
            entry.lacksSession = error != nil
            entry.hasSession = error == nil
        }
    }

    private func change(_ place: InfraPlace, _ error: AWSError?, _ change: (inout Entry) -> Void) {
        let (before, after) = entries.withLock { entries in
            var entry = entries[place] ?? Entry()
            let before = entry.isFailing ? entry.lastError?.error : nil
            change(&entry)
            if let error { entry.lastError = (error, .now) }
            entries[place] = entry
            return (before, entry.isFailing ? entry.lastError?.error : nil)
        }
        if before != after { changes.withLock { $0.append((place, after)) } }
    }

    /// Logs the changes since the last call, one line for each reason.
    func report() {
        let changes = changes.withLock { changes in
            defer { changes = [] }
            return changes
        }
        let failures = changes.compactMap { change in change.error.map { (place: change.place, error: $0) } }
        for cause in FailureCause.grouped(failures.sorted(by: Self.precedes)) {
            logger.warning("Cannot search \(cause.subject(.plain, isEverything: false)): \(cause.clause)")
        }
        let recovered = changes.filter { $0.error == nil }.map { ($0.place, AWSError(.failed, "")) }
        for cause in FailureCause.grouped(recovered.sorted(by: Self.precedes)) {
            logger.notice("Can search \(cause.subject(.plain, isEverything: false)) again.")
        }
    }

    private static func precedes(
        _ left: (place: InfraPlace, error: AWSError), _ right: (place: InfraPlace, error: AWSError)
    ) -> Bool {
        (left.place.account, left.place.region) < (right.place.account, right.place.region)
    }

    subscript(place: InfraPlace) -> Entry { entries.value[place] ?? Entry() }

    /// A summary of all accounts and regions.
    struct Summary: Sendable {
        /// The number of those whose last call failed.
        var failing: Int
        /// The time of the last good answer.
        var lastGood: Date?
        /// True if at least one has a session.
        var hasSessions: Bool
    }

    var summary: Summary {
        let all = entries.value.values
        return Summary(
            failing: all.filter(\.isFailing).count, lastGood: all.compactMap(\.lastGood).max(),
            hasSessions: !all.allSatisfy(\.lacksSession))
    }
}
