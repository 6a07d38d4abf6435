import PetrelSupport
import Testing

@testable import StackStormClient

@Suite struct EventStreamStateTests {
    @Test func `the first byte makes a connection`() {
        var run = EventStreamRun()
        #expect(run.take(.time) == [.open(1)])
        #expect(run.untilDeadline == .seconds(30))
        #expect(run.take(.answered(1, time: EventStreamRun.opened)) == [.attempted])
        #expect(!run.state.health.isConnected)
        #expect(run.take(.received(1, [])) == [.connected(EventStreamRun.opened), .read(1)])
        #expect(run.state.health.isConnected)
        #expect(run.state.health.connections == 1)
        #expect(run.state.health.lastByte == run.now)
        #expect(run.untilDeadline == .seconds(40))
    }

    @Test func `the next chunk is read when the events of the last one are handled`() {
        var run = EventStreamRun()
        run.connect(1)
        let event = EventStreamRun.event("a")
        #expect(run.take(.received(1, [.event(event)])) == [.handle([event], from: 1)])
        #expect(run.take(.handled(1)) == [.read(1)])
        #expect(run.take(.received(1, [])) == [.read(1)])
    }

    @Test func `events that come with the first byte are handled after the connection is reported`() {
        var run = EventStreamRun()
        _ = run.take(.time)
        _ = run.take(.answered(1, time: nil))
        let event = EventStreamRun.event("a")
        #expect(run.take(.received(1, [.event(event)])) == [.connected(nil), .handle([event], from: 1)])
    }

    @Test func `a first connection that says nothing is used after a second`() {
        var run = EventStreamRun()
        _ = run.take(.time)
        _ = run.pass(.seconds(20))
        _ = run.take(.answered(1, time: EventStreamRun.opened))
        #expect(run.untilDeadline == .seconds(1))
        #expect(run.pass(.milliseconds(999)).isEmpty)
        #expect(run.pass(.milliseconds(1)) == [.connected(EventStreamRun.opened)])
        #expect(run.state.health.isConnected)
        // Its first byte is nothing special then.
        #expect(run.take(.received(1, [])) == [.read(1)])
        #expect(run.state.health.connections == 1)
    }

    @Test func `a first connection without an answer is closed`() {
        var run = EventStreamRun()
        _ = run.take(.time)
        #expect(run.pass(.milliseconds(29_999)).isEmpty)
        let error = StackStormError(.noAnswer, "the stream was opened, but no data was received")
        #expect(run.pass(.milliseconds(1)) == [.attempted, .close(1), .retry(error, after: .seconds(1))])
        // The end of a closed connection changes nothing.
        #expect(run.take(.ended(1, EventStreamRun.broken)).isEmpty)
        #expect(run.untilDeadline == .seconds(1))
        #expect(run.state.health.problem == error.message)
    }

    @Test func `pauses grow until a connection is made, and are short after that`() {
        var run = EventStreamRun()
        _ = run.take(.time)
        for number in 1...4 {
            let actions = run.take(.ended(number, EventStreamRun.refused))
            #expect(actions == [.attempted, .retry(EventStreamRun.refused, after: .seconds(number))])
            #expect(run.state.health.lastByte == nil)
            #expect(run.pass(.milliseconds(number * 1_000 - 1)).isEmpty)
            #expect(run.pass(.milliseconds(1)) == [.open(number + 1)])
        }
        _ = run.take(.answered(5, time: nil))
        _ = run.take(.received(5, []))
        #expect(run.state.health.problem == nil)
        let actions = run.take(.ended(5, EventStreamRun.broken))
        #expect(actions == [.retry(EventStreamRun.broken, after: .milliseconds(500))])
        #expect(!run.state.health.isConnected)
        #expect(run.passUntilDeadline() == [.open(6)])
        let refused = run.take(.ended(6, EventStreamRun.refused))
        #expect(refused == [.attempted, .retry(EventStreamRun.refused, after: .seconds(1))])
    }

    @Test func `pauses grow while a proxy answers for a dead stream service`() {
        var run = EventStreamRun()
        for number in 1...3 {
            run.connect(number)
            let actions = run.take(.received(number, [.retry(1_000), .event(EventStreamRun.event("a"))]))
            #expect(actions == [.close(number), .retry(EventStreamRun.down, after: .seconds(number))])
        }
    }

    @Test func `a proxy that answers at once for a dead stream service is no connection`() {
        var run = EventStreamRun()
        _ = run.take(.time)
        _ = run.take(.answered(1, time: nil))
        let actions = run.take(.received(1, [.retry(1_000)]))
        #expect(actions == [.close(1), .retry(EventStreamRun.down, after: .seconds(1))])
        #expect(run.state.health.connections == 0)
    }

    @Test func `events before a request to come back are handled`() {
        var run = EventStreamRun()
        run.connect(1)
        let event = EventStreamRun.event("a")
        let actions = run.take(.received(1, [.event(event), .retry(1_000)]))
        #expect(actions == [.handle([event], from: 1), .close(1), .retry(EventStreamRun.down, after: .seconds(1))])
        #expect(run.take(.handled(1)).isEmpty)
    }

    @Test func `an oversized event is counted and reported`() {
        var run = EventStreamRun()
        run.connect(1)
        #expect(
            run.take(.received(1, [.oversized(name: "e", bytes: 9)])) == [.skipped(name: "e", bytes: 9), .read(1)])
        #expect(run.state.health.oversized == 1)
    }

    @Test func `cancelling closes whatever is open`() {
        // Before the first connection, while it is opened, when it has answered, and when it is in use.
        var run = EventStreamRun()
        var cancelled: [[EventStreamState.Action]] = []
        func cancel() {
            var copy = run
            cancelled.append(copy.take(.cancelled))
            // Nothing happens after that.
            #expect(copy.untilDeadline == nil)
            #expect(!copy.state.health.isConnected)
            #expect(copy.pass(.seconds(1_000)).isEmpty)
            for number in 1...2 {
                #expect(copy.take(.received(number, [.event(EventStreamRun.event("a"))])).isEmpty)
                #expect(copy.take(.ended(number, EventStreamRun.broken)).isEmpty)
            }
            #expect(copy.take(.cancelled).isEmpty)
        }
        cancel()
        _ = run.take(.time)
        cancel()
        _ = run.take(.answered(1, time: nil))
        cancel()
        _ = run.take(.received(1, []))
        cancel()
        // While a second one is opened, when it takes over, and when all have failed.
        _ = run.passUntilDeadline()
        cancel()
        _ = run.take(.received(2, []))
        cancel()
        _ = run.take(.ended(1, EventStreamRun.broken))
        cancel()
        _ = run.take(.ended(2, EventStreamRun.broken))
        cancel()
        #expect(
            cancelled == [
                [], [.close(1)], [.close(1)], [.close(1)], [.close(1), .close(2)], [.close(2)], [.close(2)], [],
            ])
    }
}
