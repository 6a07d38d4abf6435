import Foundation
import PetrelKit
import StackStormClient

/// The position in StackStorm's announcements up to which all are posted, by StackStorm's clock.
struct ReplayCursor: Codable, Equatable {
    /// The newest announcement of the history, and the newest entry of the ledger before the history was requested. No
    /// earlier entry is of a later announcement.
    struct Mark: Codable, Equatable {
        var time: StackStormTime
        var number: Int64
    }

    /// The times of StackStorm's clock and of the local clock at one moment.
    private struct Asked: Codable, Equatable {
        var time: StackStormTime
        var ours: StackStormTime
    }

    /// The start time up to which all announcements are posted or skipped. Nil if StackStorm had no announcement yet.
    var time: StackStormTime?
    /// The time before which no announcement is replayed, because the store or the ledger does not reach further back.
    var floor: StackStormTime?
    private(set) var marks: [Mark] = []
    private var asked: Asked?
    /// The time that StackStorm's clock had reached before it was set back. Until it is reached again, the history
    /// contains announcements with old and with new times.
    private var ahead: StackStormTime?

    /// The time before the cursor that is read again: an announcement can appear in the history after one that started
    /// later.
    static let overlap = Duration.seconds(30)
    /// The age after which an unfinished announcement no longer stops the cursor.
    static let patience = Duration.seconds(900)
    /// The maximum time by which StackStorm's clock may be set back without missed announcements.
    static let reach = Duration.seconds(600)
    /// The maximum number of ledger entries that are kept for ``reach``, which is shorter if there are more.
    private static let mostKept: Int64 = 10_000
    /// The minimum time between two marks.
    private static let step = Duration.seconds(20)
    private static let mostMarks = 100
    /// The maximum difference of two clocks that are compared in whole seconds over a network.
    private static let doubt = Duration.seconds(10)

    init(time: StackStormTime? = nil, floor: StackStormTime? = nil) {
        self.time = time
        self.floor = floor
    }

    /// The time from which the history is requested; nil for all of it.
    var start: StackStormTime? { time.map { max($0 - Self.overlap, floor ?? $0 - Self.overlap) } }

    /// Skips all announcements that started before a time.
    mutating func skip(to time: StackStormTime) {
        self.time = max(self.time ?? time, time)
        floor = max(floor ?? time, time)
    }

    /// Returns true if the cursor differs from the stored one in more than the last request.
    func isWorthKeeping(over kept: ReplayCursor?) -> Bool {
        var same = self
        same.asked = kept?.asked
        return same != kept
    }

    /// The result of the comparison of StackStorm's clock with the local clock.
    enum Clock: Equatable {
        case steady
        /// StackStorm's clock was set back, and the cursor with it. The history has to be requested again.
        case setBack
        /// StackStorm's clock was set back further than the ledger reaches. `until` is the time at which the clock has
        /// caught up.
        case setBackTooFar(Duration, until: StackStormTime)
    }

    /// Moves the cursor back if StackStorm's clock was set back. Otherwise new announcements would be before the
    /// cursor.
    ///
    /// - Parameters:
    ///   - now: The time of StackStorm's clock.
    ///   - ours: The time of the local clock. If that was set forward, the cursor moves back without need, which is
    ///     harmless.
    mutating func follow(_ now: StackStormTime, ours: StackStormTime = StackStormTime(.now)) -> Clock {
        defer { asked = Asked(time: now, ours: ours) }
        guard let time else { return .steady }
        guard let asked else {
            // Stored by a version that removed ledger entries earlier.
            floor = max(floor ?? time, time - Self.overlap * 2)
            return .steady
        }
        let jump = (ours - asked.ours) - (now - asked.time)
        guard jump > Self.doubt else { return .steady }
        // The time that StackStorm's clock would show if it had not been set back.
        let old = now + jump
        let target = max(time, asked.time) - jump
        if target < time {
            if let floor, target - Self.overlap < floor {
                // Otherwise the local clock was set forward.
                return now < max(time, asked.time) ? .setBackTooFar(jump, until: max(time, old)) : .steady
            }
            self.time = target
        }
        ahead = max(ahead ?? old, time, old)
        return target < time ? .setBack : .steady
    }

    /// Moves the cursor forward after a comparison.
    ///
    /// - Parameters:
    ///   - newest: The start of the newest announcement of the history.
    ///   - open: The start of the oldest announcement that is unfinished or may still arrive on the stream.
    ///   - number: The number of the ledger's newest entry when the history was requested.
    mutating func advance(newest: StackStormTime?, open: StackStormTime?, number: Int64) {
        guard let newest else { return }
        var reached = newest
        if let ahead, let now = asked?.time {
            if now < ahead { reached = min(reached, now) } else { self.ahead = nil }
        }
        if let open, newest - open < Self.patience { reached = min(reached, open - .microseconds(1)) }
        guard reached > time ?? reached - .microseconds(1) else { return }
        time = reached
        if let last = marks.last, newest - last.time < Self.step { return }
        marks.append(Mark(time: newest, number: number))
        if marks.count > Self.mostMarks { marks.removeFirst(marks.count - Self.mostMarks) }
    }

    /// Returns the numbers of the ledger's last entries that are no longer needed, for entries that were only heard and
    /// for all entries, and removes the marks before them.
    mutating func forgettable() -> (heard: Int64?, all: Int64?) {
        guard let time else { return (nil, nil) }
        let heard = marks.last { $0.time < time - Self.overlap * 2 }
        let newest = marks.last?.number ?? 0
        let index = marks.lastIndex {
            $0.time < time - Self.reach || ($0.time < time - Self.overlap * 2 && newest - $0.number > Self.mostKept)
        }
        guard let index else { return (heard?.number, nil) }
        let last = marks[index]
        marks.removeFirst(index + 1)
        floor = max(floor ?? last.time, last.time)
        return (heard?.number, last.number)
    }
}
