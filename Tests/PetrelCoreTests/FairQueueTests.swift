import Testing

@testable import PetrelCore

@Suite struct FairQueueTests {
    @Test func `alternates between users`() {
        var queue = FairQueue<String>(limit: 1, personLimit: 1, waitingLimit: 10)
        #expect(queue.admit("a1", for: "a") == .run)
        for job in ["a2", "a3"] { #expect(queue.admit(job, for: "a") == .waits) }
        #expect(queue.admit("b1", for: "b") == .waits)
        #expect(queue.finished(for: "a")?.job == "a2")
        #expect(queue.finished(for: "a")?.job == "b1")
        #expect(queue.finished(for: "b")?.job == "a3")
        #expect(queue.finished(for: "a") == nil)
        #expect(queue.runningCount == 0)
        #expect(queue.waitingCount == 0)
    }

    @Test func `one user cannot occupy every slot`() {
        var queue = FairQueue<Int>(limit: 4, personLimit: 2, waitingLimit: 10)
        #expect((0..<5).map { queue.admit($0, for: "a") } == [.run, .run, .waits, .waits, .waits])
        #expect(queue.admit(9, for: "b") == .run)
        #expect(queue.finished(for: "b") == nil)
        #expect(queue.finished(for: "a")?.job == 2)
    }

    @Test func `rejects only users with too many waiting commands`() {
        var queue = FairQueue<Int>(limit: 1, personLimit: 1, waitingLimit: 2)
        #expect((0..<4).map { queue.admit($0, for: "a") } == [.run, .waits, .waits, .refused])
        #expect(queue.admit(9, for: "b") == .waits)
    }

    @Test func `loses no command in a long random sequence`() {
        var queue = FairQueue<Int>(limit: 3, personLimit: 2, waitingLimit: 1_000)
        var random = SystemRandomNumberGenerator()
        var running: [(person: String, job: Int)] = []
        var done: Set<Int> = []
        for job in 0..<1_000 {
            let person = ["a", "b", "c", "d"][Int.random(in: 0..<4, using: &random)]
            if queue.admit(job, for: person) == .run { running.append((person, job)) }
            while running.count >= 3 || Bool.random(using: &random), let index = running.indices.randomElement() {
                let ended = running.remove(at: index)
                done.insert(ended.job)
                if let next = queue.finished(for: ended.person) { running.append(next) }
            }
        }
        while let ended = running.popLast() {
            done.insert(ended.job)
            if let next = queue.finished(for: ended.person) { running.append(next) }
        }
        #expect(done.count == 1_000)
        #expect(queue.runningCount == 0)
    }
}
