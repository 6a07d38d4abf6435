import DequeModule

/// Bounded admission that is fair between people: each waits in a line of their own, and the lines take turns.
package struct FairQueue<Job: Sendable>: Sendable {
    package enum Admission: Equatable { case run, waits, refused }

    private let limit: Int
    private let personLimit: Int
    private let waitingLimit: Int
    private var running: [String: Int] = [:]
    private var waiting: [String: Deque<Job>] = [:]
    private var turns: Deque<String> = []
    package private(set) var runningCount = 0
    package private(set) var waitingCount = 0

    /// - Parameters:
    ///   - limit: jobs that run at once.
    ///   - personLimit: of them, for one person.
    ///   - waitingLimit: jobs that may wait, for one person.
    package init(limit: Int = 256, personLimit: Int = 16, waitingLimit: Int = 1_000) {
        self.limit = limit
        self.personLimit = personLimit
        self.waitingLimit = waitingLimit
    }

    /// `.run`: the caller starts the job now and later calls ``finished(for:)``.
    package mutating func admit(_ job: Job, for person: String) -> Admission {
        if waiting[person] == nil, runningCount < limit, running[person, default: 0] < personLimit {
            start(person)
            return .run
        }
        guard waiting[person, default: []].count < waitingLimit else { return .refused }
        if waiting[person] == nil { turns.append(person) }
        waiting[person, default: []].append(job)
        waitingCount += 1
        return .waits
    }

    /// Frees a place, and returns the next job that may start with the person it belongs to.
    package mutating func finished(for person: String) -> (person: String, job: Job)? {
        runningCount -= 1
        running[person] = running[person].flatMap { $0 > 1 ? $0 - 1 : nil }
        for _ in 0..<turns.count {
            let next = turns.removeFirst()
            guard running[next, default: 0] < personLimit, var line = waiting[next] else {
                turns.append(next)
                continue
            }
            waiting[next] = nil
            let job = line.removeFirst()
            if !line.isEmpty {
                waiting[next] = line
                turns.append(next)
            }
            waitingCount -= 1
            start(next)
            return (next, job)
        }
        return nil
    }

    private mutating func start(_ person: String) {
        running[person, default: 0] += 1
        runningCount += 1
    }
}
