import PetrelSupport
import Testing

@Suite struct RateLimitTests {
    @Test func `the limit fills again with time, and its memory is bounded`() {
        var limit = RateLimit(burst: 2, perSecond: 0.5, capacity: 3)
        let start = ContinuousClock.now
        let seen = ["a", "a", "a", "b"].map { limit.take($0, at: start) }
        #expect(seen == [nil, nil, 2, nil])
        let later = ["a", "a"].map { limit.take($0, at: start + .seconds(2)) }
        #expect(later == [nil, 2])
        for number in 0..<100 { _ = limit.take("x\(number)", at: start + .seconds(3)) }
        let sixes = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::3"].map {
            limit.take($0, at: start + .seconds(9))
        }
        #expect(sixes == [nil, nil, 2, nil], "a /64 is one address")
    }
}
