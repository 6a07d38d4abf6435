import Testing

@testable import PetrelSupport

@Suite struct RemoteClockTests {
    @Test func `the clock is set from the header and then runs on`() {
        var clock = RemoteClock()
        let start = ContinuousClock.now
        clock.note("Sun, 06 Nov 1994 08:49:37 GMT", at: start)
        #expect(clock.seconds(at: start + .seconds(5)) == 784_111_782)
        clock.note("no date", at: start + .seconds(60))
        #expect(clock.seconds(at: start + .seconds(60)) == 784_111_837)
    }
}
