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

    /// What started up to here was said, or never will be. Nil where StackStorm had announced nothing yet.
    var time: StackStormTime?
    /// Where the store began: nothing older is ever said.
    var floor: StackStormTime?
    private(set) var marks: [Mark] = []

    /// An announcement may show up in the history after one that started later.
    static let overlap = Duration.seconds(30)
    /// One that is announced for longer than this no longer holds the cursor.
    static let patience = Duration.seconds(900)
    private static let mostMarks = 100

    /// From where on the history is asked for; nil for all of it.
    var start: StackStormTime? { time.map { max($0 - Self.overlap, floor ?? $0 - Self.overlap) } }

    /// What started before then is never said.
    mutating func skip(to time: StackStormTime) {
        self.time = max(self.time ?? time, time)
        floor = max(floor ?? time, time)
    }

    /// - Parameters:
    ///   - newest: the newest announcement of the history.
    ///   - open: the oldest one that nothing can be said of yet.
    ///   - number: the ledger's newest entry when the history was asked for.
    mutating func advance(newest: StackStormTime?, open: StackStormTime?, number: Int64) {
        guard let newest else { return }
        var reached = newest
        if let open, newest - open < Self.patience { reached = min(newest, open - .microseconds(1)) }
        guard reached > time ?? reached - .microseconds(1) else { return }
        time = reached
        marks.append(Mark(time: newest, number: number))
        if marks.count > Self.mostMarks { marks.removeFirst(marks.count - Self.mostMarks) }
    }

    /// The ledger's entries up to this one will never be looked for again. Forgets the marks before it.
    mutating func forgettable() -> Int64? {
        guard let time, let index = marks.lastIndex(where: { $0.time < time - Self.overlap * 2 }) else { return nil }
        let number = marks[index].number
        marks.removeFirst(index + 1)
        return number
    }
}
