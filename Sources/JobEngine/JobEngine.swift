import DequeModule
package import PetrelSupport

/// Runs jobs: a limited number at once, and the rest in the order of their submission.
package final class JobEngine: Sendable {
    /// The limits of an engine.
    package struct Limits: Sendable, Equatable {
        /// The maximum number of jobs that run at once.
        package var pool = 20
        /// The maximum number of jobs that wait.
        package var queue = 200
        /// The time that jobs have between SIGTERM and SIGKILL when the engine stops.
        package var stopTimeout = Duration.seconds(5)

        package init() {}
    }

    /// The result of submitting a job.
    package enum Admission: Sendable, Equatable {
        /// The job runs now.
        case runs
        /// The job waits, at this place of the queue; the first place is 1.
        case waits(Int)
        /// Too many jobs are waiting.
        case full
        /// The engine is stopping.
        case stopping
    }

    /// A job: its work, and what happens around it.
    package struct Job: Sendable {
        /// The number of the job, unique among those that run or wait.
        package var id: Int
        /// The work.
        package var work: any JobWork
        /// Runs the job. It is called once, also if the job was stopped while it waited.
        package var run: @Sendable (any JobWork) async -> Void

        package init(id: Int, work: any JobWork, run: @escaping @Sendable (any JobWork) async -> Void) {
            self.id = id
            self.work = work
            self.run = run
        }
    }

    private struct State: Sendable {
        var limits: Limits
        var running: [Int: Job] = [:]
        var waiting: Deque<Job> = []
        var isStopping = Signal()
        var isIdle = Signal()
    }

    private let state: Locked<State>

    package init(_ limits: Limits = Limits()) { state = Locked(State(limits: limits)) }

    /// Replaces the limits. Jobs that run or wait are not affected.
    package func update(_ limits: Limits) {
        let next = state.withLock { state in
            state.limits = limits
            return Self.due(&state)
        }
        for job in next { start(job) }
    }

    /// The numbers of running and of waiting jobs, and the size of the pool.
    package var load: (running: Int, waiting: Int, pool: Int) {
        state.withLock { ($0.running.count, $0.waiting.count, $0.limits.pool) }
    }

    /// A signal that is open once the engine stops.
    package var isStopping: Signal { state.withLock { $0.isStopping } }

    /// Submits a job, and returns at once.
    package func submit(_ job: Job) -> Admission { submit { job } }

    /// Submits a job that is made only if it is accepted, and returns at once.
    /// - Parameter make: a closure that must not use the engine.
    package func submit(_ make: () throws -> Job) rethrows -> Admission {
        let (admission, job) = try state.withLock { state -> (Admission, Job?) in
            if state.isStopping.isOpen { return (.stopping, nil) }
            if state.running.count < state.limits.pool {
                let job = try make()
                state.running[job.id] = job
                return (.runs, job)
            }
            guard state.waiting.count < state.limits.queue else { return (.full, nil) }
            state.waiting.append(try make())
            return (.waits(state.waiting.count), nil)
        }
        if let job { start(job) }
        return admission
    }

    /// The result of stopping a job.
    package enum Stopping: Sendable, Equatable {
        /// The job is being stopped now.
        case stopped
        /// The job was being stopped already, or is ending by itself.
        case ending
        /// The job neither runs nor waits.
        case absent
    }

    /// Stops a job.
    package func stop(_ id: Int, _ cause: StopCause) -> Stopping {
        let (job, isWaiting) = state.withLock { state -> (Job?, Bool) in
            if let job = state.running[id] { return (job, false) }
            guard let index = state.waiting.firstIndex(where: { $0.id == id }) else { return (nil, false) }
            let job = state.waiting.remove(at: index)
            // It needs no place in the pool: its work does not start.
            state.running[id] = job
            return (job, true)
        }
        guard let job else { return .absent }
        let isFirst = job.work.stop(cause, grace: nil)
        if isWaiting { start(job) }
        return isFirst ? .stopped : .ending
    }

    /// Stops all jobs that run or wait, and goes on accepting others.
    package func stopAll(_ cause: StopCause, grace: Duration) {
        let (running, waiting) = state.withLock { state in
            let (running, waiting) = (Array(state.running.values), Array(state.waiting))
            for job in waiting { state.running[job.id] = job }
            state.waiting = []
            return (running, waiting)
        }
        for job in running + waiting { job.work.stop(cause, grace: grace) }
        for job in waiting { start(job) }
    }

    /// Waits until the task is cancelled, and then stops all jobs and waits for their ends. The engine accepts jobs from
    /// the start.
    package func run() async {
        // Sleeping ends only with the cancellation of the task.
        while (try? await Task.sleep(for: .seconds(86_400))) != nil {}
        let (jobs, waiting, isIdle, grace) = state.withLock { state in
            state.isStopping.open()
            let (jobs, waiting) = (Array(state.running.values) + state.waiting, Array(state.waiting))
            for job in waiting { state.running[job.id] = job }
            state.waiting = []
            if state.running.isEmpty { state.isIdle.open() }
            return (jobs, waiting, state.isIdle, state.limits.stopTimeout)
        }
        for job in jobs { job.work.stop(.shutdown, grace: grace) }
        for job in waiting { start(job) }
        // In a task of its own, because this one is cancelled.
        await Task { await isIdle.wait() }.value
    }

    /// Makes the engine accept jobs again, after ``run()`` has ended.
    package func reopen() {
        state.withLock { state in
            state.isStopping = Signal()
            state.isIdle = Signal()
        }
    }

    private func start(_ job: Job) {
        // In a task of its own: the cancellation of the submitter must not end the program without SIGTERM.
        Task {
            await job.run(job.work)
            self.finished(job)
        }
    }

    private func finished(_ job: Job) {
        let next = state.withLock { state in
            state.running[job.id] = nil
            if state.isStopping.isOpen, state.running.isEmpty { state.isIdle.open() }
            return Self.due(&state)
        }
        for job in next { start(job) }
    }

    /// Takes the waiting jobs for which the pool has room.
    private static func due(_ state: inout State) -> [Job] {
        var due: [Job] = []
        while state.running.count < state.limits.pool, let job = state.waiting.popFirst() {
            state.running[job.id] = job
            due.append(job)
        }
        return due
    }
}
