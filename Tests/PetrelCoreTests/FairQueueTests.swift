import Testing

@testable import PetrelCore

@Suite struct FairQueueTests {
    @Test func `alternates between users`() {
        var queue = FairQueue<String>(FairQueueLimits(limit: 1, personLimit: 1, waitingLimit: 10))
        #expect(queue.admit(.init("a1", for: "a")) == .run)
        for job in ["a2", "a3"] { #expect(queue.admit(.init(job, for: "a")) == .waits) }
        #expect(queue.admit(.init("b1", for: "b")) == .waits)
        #expect(queue.finished(.init("", for: "a")).first?.job == "a2")
        #expect(queue.finished(.init("", for: "a")).first?.job == "b1")
        #expect(queue.finished(.init("", for: "b")).first?.job == "a3")
        #expect(queue.finished(.init("", for: "a")).isEmpty)
        #expect(queue.runningCount == 0)
        #expect(queue.waitingCount == 0)
    }

    @Test func `one user cannot occupy every slot`() {
        var queue = FairQueue<Int>(FairQueueLimits(limit: 4, personLimit: 2, waitingLimit: 10))
        #expect((0..<5).map { queue.admit(.init($0, for: "a")) } == [.run, .run, .waits, .waits, .waits])
        #expect(queue.admit(.init(9, for: "b")) == .run)
        #expect(queue.finished(.init(0, for: "b")).isEmpty)
        #expect(queue.finished(.init(0, for: "a")).first?.job == 2)
    }

    @Test func `rejects only users with too many waiting commands`() {
        var queue = FairQueue<Int>(FairQueueLimits(limit: 1, personLimit: 1, waitingLimit: 2))
        #expect((0..<4).map { queue.admit(.init($0, for: "a")) } == [.run, .waits, .waits, .refused])
        #expect(queue.admit(.init(9, for: "b")) == .waits)
    }

    @Test func `one module cannot occupy every slot, and what it leaves waiting starts when it can`() {
        var queue = FairQueue<Int>(FairQueueLimits(limit: 4, personLimit: 2, moduleLimit: 2, waitingLimit: 10))
        let slow = (0..<3).map { FairQueue.Entry($0, for: "a\($0)", in: "slow") }
        #expect(slow.map { queue.admit($0) } == [.run, .run, .waits])
        let quick = (3..<6).map { FairQueue.Entry($0, for: "b", in: "quick") }
        #expect(quick.map { queue.admit($0) } == [.run, .run, .waits])
        // A slot is free, but the person has two commands, and the module has two.
        #expect(queue.finished(quick[0]).map(\.job) == [5])
        #expect(queue.finished(slow[0]).map(\.job) == [2])
        #expect(queue.waitingCount == 0)
    }

    @Test func `the end of one job can start several that waited for different reasons`() {
        var queue = FairQueue<Int>(FairQueueLimits(limit: 4, personLimit: 1, moduleLimit: 1, waitingLimit: 10))
        let first = FairQueue.Entry(0, for: "a", in: "x")
        #expect(queue.admit(first) == .run)
        #expect(queue.admit(.init(1, for: "a", in: "y")) == .waits)
        #expect(queue.admit(.init(2, for: "b", in: "x")) == .waits)
        #expect(Set(queue.finished(first).map(\.job)) == [1, 2])
    }

    @Test func `loses no command in a long random sequence`() {
        var queue = FairQueue<Int>(FairQueueLimits(limit: 3, personLimit: 2, moduleLimit: 2, waitingLimit: 1_000))
        var random = SystemRandomNumberGenerator()
        var running: [FairQueue<Int>.Entry] = []
        var done: Set<Int> = []
        func end(_ entry: FairQueue<Int>.Entry) {
            done.insert(entry.job)
            running += queue.finished(entry)
        }
        for job in 0..<1_000 {
            let person = ["a", "b", "c", "d"][Int.random(in: 0..<4, using: &random)]
            let entry = FairQueue.Entry(job, for: person, in: ["x", "y"][Int.random(in: 0..<2, using: &random)])
            if queue.admit(entry) == .run { running.append(entry) }
            while running.count >= 3 || Bool.random(using: &random), let index = running.indices.randomElement() {
                end(running.remove(at: index))
            }
        }
        while let entry = running.popLast() { end(entry) }
        #expect(done.count == 1_000)
        #expect(queue.runningCount == 0 && queue.waitingCount == 0)
    }
}
