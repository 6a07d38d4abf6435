import JobEngine
import PetrelSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct TimeLimitTests {
    private final class Mark: Sendable {}

    @Test func `A limit calls its closure once it is over`() async {
        let isOver = Signal()
        let limit = TimeLimit(.milliseconds(20)) { isOver.open() }
        await isOver.wait()
        limit.cancel()
    }

    @Test func `A cancelled limit calls nothing and keeps nothing`() async throws {
        weak var mark: Mark?
        let calls = Locked(0)
        let limit = {
            let object = Mark()
            mark = object
            return TimeLimit(.seconds(86_400)) { calls.withLock { $0 += withExtendedLifetime(object) { 1 } } }
        }()
        #expect(mark != nil)
        limit.cancel()
        let end = ContinuousClock.now + .seconds(120)
        while mark != nil, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(10)) }
        #expect(mark == nil && calls.value == 0)
    }
}
