import PetrelSupport
import Testing

@Suite(.timeLimit(.minutes(30))) struct MailboxTests {
    @Test func `elements are read in order, also those before the end`() async {
        let mailbox = Mailbox<Int>()
        for number in 0..<3_000 { mailbox.put(number) }
        mailbox.finish()
        for number in 0..<3_000 { #expect(await mailbox.next() == number) }
        #expect(await mailbox.next() == nil)
    }

    @Test func `a reader that is cancelled loses nothing for the next one`() async {
        let mailbox = Mailbox<Int>()
        let first = Task { await mailbox.next() }
        first.cancel()
        #expect(await first.value == nil)
        let second = Task { await mailbox.next() }
        mailbox.put(1)
        #expect(await second.value == 1)
    }

    @Test func `a limit ends the wait, and an element that comes later is kept`() async {
        let mailbox = Mailbox<Int>()
        #expect(await mailbox.next(within: .milliseconds(1)) == nil)
        mailbox.put(1)
        #expect(await mailbox.next(within: .zero) == 1)
        let reader = Task { await mailbox.next(within: .seconds(600)) }
        mailbox.put(2)
        #expect(await reader.value == 2)
        mailbox.finish()
        #expect(await mailbox.next(within: .seconds(600)) == nil)
    }

    @Test func `no element is lost at the limit`() async {
        let mailbox = Mailbox<Int>()
        let writer = Task { for number in 0..<2_000 { mailbox.put(number); await Task.yield() } }
        var expected = 0
        while expected < 2_000 {
            if let number = await mailbox.next(within: .microseconds(20)) {
                #expect(number == expected)
                expected = number + 1
            }
        }
        await writer.value
    }
}
