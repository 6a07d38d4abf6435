import Foundation
import PetrelKit
import PetrelSupport

/// The notice that a search takes some time, and its replacement by the answer.
final class SearchWait: Sendable {
    private let chat: any Speaking
    private let invocation: Invocation
    private let accounts: Int
    /// The handle of the notice; nil before the notice is sent, or if the notice cannot be replaced.
    private let handle = Locked<String?>(nil)

    init(_ chat: any Speaking, _ invocation: Invocation, accounts: Int) {
        self.chat = chat
        self.invocation = invocation
        self.accounts = accounts
    }

    /// Returns the value of some work, and sends the notice if it is not there after a while.
    func value<Value: Sendable>(
        patience: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let done = Signal()
        async let value = {
            defer { done.open() }
            return try await work()
        }()
        await Signal.wait(for: done, atMost: patience)
        if !done.isOpen { announce() }
        return try await value
    }

    private func announce() {
        let text = "Looking in \(InfraAnswer.count(accounts, "account"))…"
        // The answer to a slash command cannot be edited, so the notice would remain.
        guard invocation.traits.edits, invocation.message.slashCommand == nil else {
            return invocation.say(Reply(text, kind: .acknowledgement, isPrivate: true))
        }
        let handle = "infra \(UUID().uuidString)"
        self.handle.withLock { $0 = handle }
        invocation.say(Reply(text, kind: .acknowledgement), DeliveryMarks(handle: handle))
    }

    /// Replaces the notice by the answer. Returns the reply that remains to be sent, or nil if the replacement is enough.
    func finish(_ reply: Reply) -> Reply? {
        guard let handle = handle.value else { return reply }
        // A message of several pieces cannot replace one.
        let isShort = reply.text.unicodeScalars.count <= invocation.traits.maximumLength
        // In a direct chat, nobody else sees the notice.
        let isDirect = invocation.message.isDirect
        guard reply.isPrivate && !isDirect || !isShort else {
            var reply = reply
            reply.isPrivate = false
            chat.answer(reply, replacing: handle, at: invocation.address)
            return nil
        }
        // Everybody sees the notice, but a private answer is only for the person who asked.
        let text =
            reply.kind == .error
            ? "No account could be searched." : "Searched \(InfraAnswer.count(accounts, "account"))."
        let notice = Reply(text, kind: .acknowledgement)
        chat.replace(handle, with: notice, on: invocation.address.backend)
        return reply
    }
}
