import PetrelSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct MailboxTests {
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
}
