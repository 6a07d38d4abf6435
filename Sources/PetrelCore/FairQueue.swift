import DequeModule

/// A bounded queue of jobs that is fair between people: each person has a queue, and the queues take turns. The jobs of
/// one module cannot occupy every slot, so that a module that hangs leaves slots to the others.
package struct FairQueue<Job: Sendable>: Sendable {
    /// The result of adding a job: it runs now, waits, or is rejected.
    package enum Admission: Equatable { case run, waits, refused }

    /// A job of a person, for a module.
    package struct Entry: Sendable {
        package let job: Job
        package let person: String
        package let module: String

        package init(_ job: Job, for person: String, in module: String = "") {
            self.job = job
            self.person = person
            self.module = module
        }
    }

    private let limits: FairQueueLimits
    private var running: [String: Int] = [:]
    private var runningInModule: [String: Int] = [:]
    private var waiting: [String: Deque<Entry>] = [:]
    private var turns: Deque<String> = []
    /// The number of running jobs.
    package private(set) var runningCount = 0
    /// The number of waiting jobs.
    package private(set) var waitingCount = 0

    /// Creates an empty queue.
    package init(_ limits: FairQueueLimits = FairQueueLimits()) { self.limits = limits }

    /// Adds a job. For `.run` the caller runs the job, and then calls ``finished(_:)``.
    package mutating func admit(_ entry: Entry) -> Admission {
        let person = entry.person
        if waiting[person] == nil, mayStart(entry) {
            start(entry)
            return .run
        }
        guard waiting[person, default: []].count < limits.waitingLimit else { return .refused }
        if waiting[person] == nil { turns.append(person) }
        waiting[person, default: []].append(entry)
        waitingCount += 1
        return .waits
    }

    /// Records that a job has ended, and returns the jobs to run next.
    package mutating func finished(_ entry: Entry) -> [Entry] {
        runningCount -= 1
        Self.decrement(entry.person, in: &running)
        Self.decrement(entry.module, in: &runningInModule)
        var next: [Entry] = []
        for _ in 0..<turns.count where runningCount < limits.limit {
            let person = turns.removeFirst()
            guard var line = waiting[person], let first = line.first, mayStart(first) else {
                turns.append(person)
                continue
            }
            line.removeFirst()
            waiting[person] = line.isEmpty ? nil : line
            if !line.isEmpty { turns.append(person) }
            waitingCount -= 1
            start(first)
            next.append(first)
        }
        return next
    }

    /// Removes the jobs that wait, and returns them.
    package mutating func removeWaiting() -> [Entry] {
        defer { (waiting, turns, waitingCount) = ([:], [], 0) }
        return turns.flatMap { waiting[$0, default: []] }
    }

    private func mayStart(_ entry: Entry) -> Bool {
        runningCount < limits.limit && running[entry.person, default: 0] < limits.personLimit
            && runningInModule[entry.module, default: 0] < limits.moduleLimit
    }

    private mutating func start(_ entry: Entry) {
        running[entry.person, default: 0] += 1
        runningInModule[entry.module, default: 0] += 1
        runningCount += 1
    }

    private static func decrement(_ key: String, in counts: inout [String: Int]) {
        counts[key] = counts[key].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
}

/// The limits for running and waiting commands.
package struct FairQueueLimits: Sendable {
    /// The maximum number of running commands.
    package var limit: Int
    /// The maximum number of running commands of one person.
    package var personLimit: Int
    /// The maximum number of running commands of one module.
    package var moduleLimit: Int
    /// The maximum number of waiting commands of one person. Further ones are rejected.
    package var waitingLimit: Int
    /// The number of waiting commands from which on a backend has to wait before it delivers further messages.
    package var backendLimit: Int

    /// Creates limits.
    /// - Parameter moduleLimit: nil for three quarters of `limit`.
    package init(
        limit: Int = 256, personLimit: Int = 16, moduleLimit: Int? = nil, waitingLimit: Int = 1_000,
        backendLimit: Int = 10_000
    ) {
        self.limit = limit
        self.personLimit = personLimit
        self.moduleLimit = moduleLimit ?? max(1, limit - limit / 4)
        self.waitingLimit = waitingLimit
        self.backendLimit = backendLimit
    }
}
