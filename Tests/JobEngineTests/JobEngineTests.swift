import JobEngine
import PetrelSupport
import Testing

@Suite struct JobEngineTests {
    private func engine(pool: Int, queue: Int) -> JobEngine {
        var limits = JobEngine.Limits()
        limits.pool = pool
        limits.queue = queue
        return JobEngine(limits)
    }

    /// Returns a job that ends when the signal opens.
    private func job(_ id: Int, until signal: Signal, _ ended: @escaping @Sendable (Int) -> Void = { _ in })
        -> JobEngine.Job
    {
        JobEngine.Job(id: id, work: RunningProgram(.shell("true"), to: RecordingSink())) { program in
            await signal.wait()
            _ = await program.run()
            ended(id)
        }
    }

    @Test func `Jobs beyond the pool wait in order, and those beyond the queue are refused`() async {
        let engine = engine(pool: 1, queue: 2)
        let (gate, done) = (Signal(), Signal())
        let order = Locked<[Int]>([])
        let ended: @Sendable (Int) -> Void = { id in
            if order.withLock({
                $0.append(id); return $0.count
            }) == 3 {
                done.open()
            }
        }
        #expect(engine.submit(job(1, until: gate, ended)) == .runs)
        #expect(engine.submit(job(2, until: gate, ended)) == .waits(1))
        #expect(engine.submit(job(3, until: gate, ended)) == .waits(2))
        #expect(engine.submit(job(4, until: gate)) == .full)
        #expect(engine.load == (1, 2, 1))
        gate.open()
        await done.wait()
        #expect(order.value == [1, 2, 3])
    }

    @Test func `A job that waits can be stopped and never starts`() async {
        let engine = engine(pool: 1, queue: 2)
        let (gate, done) = (Signal(), Signal())
        _ = engine.submit(job(1, until: gate))
        let sink = RecordingSink()
        let end = Locked<ProgramEnd?>(nil)
        _ = engine.submit(
            JobEngine.Job(id: 2, work: RunningProgram(.shell("echo x"), to: sink)) { program in
                let result = await program.run()
                end.withLock { $0 = result }
                done.open()
            })
        #expect(engine.stop(2, .cancelled(by: nil)) == .stopped)
        #expect(engine.stop(2, .cancelled(by: "@root")) != .stopped)
        await done.wait()
        #expect(end.value?.cause == .cancelled(by: nil) && sink.output.counts.isEmpty)
        #expect(engine.stop(3, .cancelled(by: nil)) == .absent)
        gate.open()
    }

    @Test(.timeLimit(.minutes(20)))
    func `The end of the engine stops all jobs and waits for them`() async {
        let engine = engine(pool: 2, queue: 10)
        let sink = RecordingSink()
        let ends = Locked<[StopCause?]>([])
        for id in 1...4 {
            _ = engine.submit(
                JobEngine.Job(id: id, work: RunningProgram(.shell("echo up; sleep 300"), to: sink)) { program in
                    let end = await program.run()
                    ends.withLock { $0.append(end.cause) }
                })
        }
        await sink.wait(for: "up\nup\n")
        let run = Task { await engine.run() }
        run.cancel()
        await run.value
        #expect(ends.value == Array(repeating: .shutdown, count: 4))
        #expect(engine.submit(job(5, until: Signal())) == .stopping)
    }

    @Test func `Two hundred jobs run with a pool of twenty`() async {
        let engine = engine(pool: 20, queue: 200)
        let sink = RecordingSink()
        let (count, done) = (Locked(0), Signal())
        let most = Locked(0)
        for id in 1...200 {
            _ = engine.submit(
                JobEngine.Job(id: id, work: RunningProgram(.shell("echo x"), to: sink)) { program in
                    most.withLock { $0 = max($0, engine.load.running) }
                    _ = await program.run()
                    if count.withLock({
                        $0 += 1; return $0
                    }) == 200 {
                        done.open()
                    }
                })
        }
        await done.wait()
        #expect(sink.output.counts[.output] == 400)
        #expect(most.value <= 20)
    }
}
