import PetrelSupport
import Testing

@testable import StackStormClient

@Suite struct EventStreamRenewalTests {
    /// A run whose first connection has been silent for so long that a second one is being opened.
    private static func silent() -> EventStreamRun {
        var run = EventStreamRun()
        run.connect(1)
        #expect(run.passUntilDeadline() == [.open(2)])
        return run
    }

    @Test func `each byte puts off the next connection`() {
        var run = EventStreamRun()
        run.connect(1)
        #expect(run.pass(.seconds(39)).isEmpty)
        _ = run.take(.received(1, []))
        #expect(run.pass(.seconds(39)).isEmpty)
        #expect(run.pass(.seconds(1)) == [.open(2)])
    }

    @Test func `the time that handling takes is not silence`() {
        var run = EventStreamRun()
        run.connect(1)
        _ = run.take(.received(1, [.event(EventStreamRun.event("a"))]))
        var later = run.state
        let end = run.now + .seconds(60)
        #expect(later.take(.handled(1), at: end) == [.read(1)])
        #expect(later.take(.time, at: end).isEmpty)
        #expect(later.deadline == end + .seconds(40))
    }

    @Test func `a new connection takes over when it delivers and the old one has ended`() {
        var run = Self.silent()
        let time = StackStormTime(microseconds: 9)
        #expect(run.take(.answered(2, time: time)).isEmpty)
        #expect(run.take(.received(2, [.event(EventStreamRun.event("a"))])) == [.close(1)])
        #expect(run.untilDeadline == nil)
        let actions = run.take(.ended(1, EventStreamRun.broken))
        #expect(actions == [.connected(time), .handle([EventStreamRun.event("a")], from: 2)])
        #expect(run.state.health.renewals == 1)
        #expect(run.state.health.connections == 2)
        #expect(run.state.health.isConnected)
        #expect(run.take(.handled(2)) == [.read(2)])
    }

    @Test func `an answer without a byte is not enough to take over`() {
        var run = Self.silent()
        _ = run.take(.answered(2, time: nil))
        #expect(run.pass(.milliseconds(29_999)).isEmpty)
        #expect(run.pass(.milliseconds(1)) == [.close(2)])
        #expect(run.state.health.isConnected)
        #expect(run.state.health.problem == "the stream is silent, and no other connection can be opened")
        #expect(run.deliver(["still here"], on: 1) == ["still here"])
    }

    @Test func `the old connection is read on while new ones fail`() {
        var run = Self.silent()
        for number in 2...4 {
            #expect(run.deliver(["a"], on: 1) == ["a"])
            #expect(run.take(.ended(number, EventStreamRun.refused)).isEmpty)
            #expect(run.untilDeadline == .seconds(40))
            #expect(run.passUntilDeadline() == [.open(number + 1)])
        }
        #expect(run.state.health.connections == 1)
    }

    @Test func `the next attempt follows a pause while the old connection stays silent`() {
        var run = Self.silent()
        _ = run.take(.ended(2, EventStreamRun.refused))
        #expect(run.untilDeadline == .seconds(1))
        #expect(run.passUntilDeadline() == [.open(3)])
    }

    @Test func `a proxy that answers for a dead stream service does not take over`() {
        var run = Self.silent()
        #expect(run.take(.received(2, [.retry(1_000)])) == [.close(2)])
        #expect(run.deliver(["a"], on: 1) == ["a"])
    }

    @Test func `the new connection is closed with the old one that ends first`() {
        var run = Self.silent()
        let end = run.take(.ended(1, EventStreamRun.broken))
        #expect(end == [.close(2), .retry(EventStreamRun.broken, after: .milliseconds(500))])
        #expect(run.take(.received(2, [])).isEmpty)
        #expect(run.passUntilDeadline() == [.open(3)])
    }

    @Test func `both are closed when a proxy answers on the old connection`() {
        var run = Self.silent()
        let actions = run.take(.received(1, [.retry(1_000)]))
        #expect(actions == [.close(1), .close(2), .retry(EventStreamRun.down, after: .seconds(1))])
    }

    @Test func `events of both connections are handled once`() {
        var run = Self.silent()
        #expect(run.deliver(["a", "b"], on: 1) == ["a", "b"])
        #expect(run.deliver(["a", "b"], on: 2).isEmpty)
        // A chunk that had been read before the connection was closed.
        #expect(run.deliver(["a"], on: 1) == ["a"])
        #expect(run.handle(run.take(.ended(1, EventStreamRun.broken))).isEmpty)
        #expect(run.deliver(["a", "c", "a"], on: 2) == ["c", "a"])
    }

    @Test func `events from before the second connection are no repetitions`() {
        var run = EventStreamRun()
        run.connect(1)
        #expect(run.deliver(["a"], on: 1) == ["a"])
        _ = run.passUntilDeadline()
        _ = run.take(.received(2, []))
        _ = run.take(.ended(1, EventStreamRun.broken))
        #expect(run.deliver(["a"], on: 2) == ["a"])
    }

    @Test func `events that a failed connection may have seen are no repetitions for the next one`() {
        var run = Self.silent()
        #expect(run.deliver(["a"], on: 1) == ["a"])
        _ = run.take(.ended(2, EventStreamRun.refused))
        _ = run.passUntilDeadline()
        _ = run.take(.received(3, []))
        _ = run.take(.ended(1, EventStreamRun.broken))
        #expect(run.deliver(["a"], on: 3) == ["a"])
    }
}
