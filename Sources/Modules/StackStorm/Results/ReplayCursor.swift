import Foundation
import PetrelKit
import StackStormClient

/// How far StackStorm's announcements are known to have been said. By StackStorm's clock, never by ours.
struct ReplayCursor: Codable, Equatable {
    /// The newest announcement of the history, and the ledger's newest entry just before it was asked for: what the
    /// ledger had by then started no later.
    struct Mark: Codable, Equatable {
        var time: StackStormTime
        var number: Int64
    }

    /// StackStorm's clock and ours at one moment.
    private struct Asked: Codable, Equatable {
        var time: StackStormTime
        var ours: StackStormTime
    }

    /// What started up to here was said, or never will be. Nil where StackStorm had announced nothing yet.
    var time: StackStormTime?
    /// Nothing older is ever said: the store began there, or the ledger has forgotten what was said before.
    var floor: StackStormTime?
    private(set) var marks: [Mark] = []
    private var asked: Asked?
    /// StackStorm's clock was set back: until it shows this time again, its history has both what started by the old
    /// time and what starts by the new one.
    private var ahead: StackStormTime?

    /// An announcement may show up in the history after one that started later.
    static let overlap = Duration.seconds(30)
    /// One that is announced for longer than this no longer holds the cursor.
    static let patience = Duration.seconds(900)
    /// How far StackStorm's clock may be set back without anything left unsaid.
    static let reach = Duration.seconds(600)
    /// Entries of the ledger that are kept for that; where more are written the reach is shorter.
    private static let mostKept: Int64 = 10_000
    /// Between two marks.
    private static let step = Duration.seconds(20)
    private static let mostMarks = 100
    /// Clocks that are compared in whole seconds, over a network, differ by less than this.
    private static let doubt = Duration.seconds(10)

    init(time: StackStormTime? = nil, floor: StackStormTime? = nil) {
        self.time = time
        self.floor = floor
    }

    /// From where on the history is asked for; nil for all of it.
    var start: StackStormTime? { time.map { max($0 - Self.overlap, floor ?? $0 - Self.overlap) } }

    /// What started before then is never said.
    mutating func skip(to time: StackStormTime) {
        self.time = max(self.time ?? time, time)
        floor = max(floor ?? time, time)
    }

    /// Whether there is more to keep than the time of day.
    func isWorthKeeping(over kept: ReplayCursor?) -> Bool {
        var same = self
        same.asked = kept?.asked
        return same != kept
    }

    /// What came of comparing StackStorm's clock with ours.
    enum Clock: Equatable {
        case steady
        /// It was set back, and the cursor with it: the history has to be asked once more.
        case setBack
        /// It was set back by more than the ledger can tell of.
        case setBackTooFar(Duration, until: StackStormTime)
    }

    /// Follows StackStorm's clock where it was set back. Else what starts from then on would be behind the cursor.
    /// - Parameters:
    ///   - now: StackStorm's time.
    ///   - ours: our own. Where that was set forward the cursor goes back for nothing, which does no harm.
    mutating func follow(_ now: StackStormTime, ours: StackStormTime = StackStormTime(.now)) -> Clock {
        defer { asked = Asked(time: now, ours: ours) }
        guard let time else { return .steady }
        guard let asked else {
            // Kept by a version that forgot earlier.
            floor = max(floor ?? time, time - Self.overlap * 2)
            return .steady
        }
        let jump = (ours - asked.ours) - (now - asked.time)
        guard jump > Self.doubt else { return .steady }
        // What it would show, had it not been set back.
        let old = now + jump
        let target = max(time, asked.time) - jump
        if target < time {
            if let floor, target - Self.overlap < floor {
                // Else it was our own clock that was set, forward.
                return now < max(time, asked.time) ? .setBackTooFar(jump, until: max(time, old)) : .steady
            }
            self.time = target
        }
        ahead = max(ahead ?? old, time, old)
        return target < time ? .setBack : .steady
    }

    /// - Parameters:
    ///   - newest: the newest announcement of the history.
    ///   - open: the oldest one that nothing can be said of yet.
    ///   - number: the ledger's newest entry when the history was asked for.
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

    /// Up to which entries the ledger will never be looked at again: those that were only heard, and all. Forgets the
    /// marks before them.
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
