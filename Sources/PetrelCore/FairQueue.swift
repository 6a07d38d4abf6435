import DequeModule

/// A bounded queue of jobs that is fair between people: each person has a queue, and the queues take turns.
package struct FairQueue<Job: Sendable>: Sendable {
    /// The result of adding a job: it runs now, waits, or is rejected.
    package enum Admission: Equatable { case run, waits, refused }

    private let limit: Int
    private let personLimit: Int
    private let waitingLimit: Int
    private var running: [String: Int] = [:]
    private var waiting: [String: Deque<Job>] = [:]
    private var turns: Deque<String> = []
    /// The number of running jobs.
    package private(set) var runningCount = 0
    /// The number of waiting jobs.
    package private(set) var waitingCount = 0

    /// Creates an empty queue.
    /// - Parameters:
    ///   - limit: the maximum number of running jobs.
    ///   - personLimit: the maximum number of running jobs of one person.
    ///   - waitingLimit: the maximum number of waiting jobs of one person.
    package init(limit: Int = 256, personLimit: Int = 16, waitingLimit: Int = 1_000) {
        self.limit = limit
        self.personLimit = personLimit
        self.waitingLimit = waitingLimit
    }

    /// Adds a job. For `.run` the caller runs the job, and then calls ``finished(for:)``.
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

    /// Records that a job of a person has ended, and returns the next job to run with its person.
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
