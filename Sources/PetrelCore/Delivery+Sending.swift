import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport

extension Delivery {
    /// The outcome of an attempt.
    enum Outcome {
        /// The message was sent.
        case sent
        /// A piece of a long text was sent.
        case partly
        /// The attempt failed and is to be repeated.
        case later(after: Duration?, problem: String)
        /// The message can never be sent.
        case never(String)
    }

    /// The maximum number of pieces of a text. A longer text is sent as a file, if the backend supports it.
    private static let mostPieces = 4

    /// The number of scalars that are reserved for the delay of a late message.
    static let margin = 32

    /// Sends a message, or the next piece of one that is too long.
    /// - Parameter isStamped: true if the text already states its delay.
    func send(_ item: inout Item, isStamped: Bool = false) async -> Outcome {
        let marks = item.entry.marks
        let address: Address
        switch decided(item.entry.address) {
        case .to(let found): address = found
        case .undecided(let reason): return .never(reason)
        }
        guard let backend = backends[address.backend] else { return .never("there is no backend \(address.backend)") }
        let observer = backend as? any CompletionObserving
        if let request = marks.promises, item.entry.pieces == 0 { observer?.promised(request) }
        guard item.entry.reply.isVisible else {
            if let request = marks.settles { observer?.settled(request) }
            return .sent
        }
        if item.entry.reply.isConfidential, !address.place.isDirect, !backend.traits.privateReplies {
            return .never("the message is confidential, and \(backend.name) cannot show it to one person only")
        }
        do {
            let isAll = try await send(
                &item.entry, to: address, late: isStamped ? .zero : ContinuousClock.now - item.since, backend)
            meters.delivered.increment()
            item.attempts = 0
            if isAll, let request = marks.settles { observer?.settled(request) }
            return isAll ? .sent : .partly
        } catch let failure as SendFailure {
            switch failure.remedy {
            case .never: return .never(failure.message)
            case .later(let pause): return again(&item, after: pause, failure.message)
            }
        } catch {
            return again(&item, after: nil, "\(error)")
        }
    }

    /// Takes the messages behind an item that can be merged with it, if the backend merges bursts.
    func companions(of item: Item) -> [Item] {
        guard let traits = backends[item.entry.queue.backend]?.traits, traits.mergesBursts else { return [] }
        let room = traits.maximumLength - item.entry.reply.text.unicodeScalars.count - 2 * Self.margin
        return state.withLock { $0.following(item, in: item.entry.queue, room: room) }
    }

    /// Sends several texts as one message.
    func send(_ first: inout Item, with others: [Item]) async -> Outcome {
        guard !others.isEmpty else { return await send(&first) }
        var whole = first
        whole.entry.reply.text = ([first] + others).map { item in
            let late = ContinuousClock.now - item.since
            return stamp(late, item.entry.reply.text) + item.entry.reply.text
        }.joined(separator: "\n")
        let outcome = await send(&whole, isStamped: true)
        first.attempts = whole.attempts
        if case .sent = outcome, let observer = backends[first.entry.queue.backend] as? any CompletionObserving {
            for request in others.compactMap(\.entry.marks.settles) { observer.settled(request) }
        }
        return outcome
    }

    /// Returns the delay of a late text, as a prefix. A fence has to remain at the beginning of a line.
    private func stamp(_ late: Duration, _ text: String) -> String {
        guard late >= limits.late, !text.isEmpty else { return "" }
        return "(\(late.inWords) late)" + (TextBlock.beginsWithFence(text) ? "\n" : " ")
    }

    private func again(_ item: inout Item, after pause: Duration?, _ problem: String) -> Outcome {
        item.attempts += 1
        if item.entry.reply.isConfidential, item.attempts >= limits.attempts { return .never(problem) }
        if ContinuousClock.now - item.since >= limits.patience {
            return .never("no attempt succeeded within \((ContinuousClock.now - item.since).inWords): \(problem)")
        }
        return .later(after: pause, problem: problem)
    }

    /// Sends a text, or its next piece. Returns true if nothing is left.
    private func send(
        _ entry: inout OutboxEntry, to address: Address, late: Duration, _ backend: any ChatBackend
    ) async throws -> Bool {
        var reply = Self.shaped(entry.reply, for: backend)
        let most = backend.traits.maximumLength
        // After a restart a piece is sent again. Where each line is a message, that is a small number of them: an output
        // and the lines around it are one piece.
        let texts = MessageSplitter.split(
            reply.text, atMost: most > 10 * Self.margin ? most - Self.margin : most,
            mostLines: backend.traits.maximumLines.map { 2 * min($0, 1_000_000) } ?? .max)
        let isLast = entry.pieces >= texts.count - 1
        let stamp = stamp(late, reply.text)
        if entry.pieces == 0, texts.count > Self.mostPieces, backend.traits.files,
            let backend = backend as? any FileSending
        {
            // A file is shown without markup.
            var whole = reply.style == .mrkdwn ? reply.readable(for: BackendTraits()) : reply
            whole.text = stamp + whole.text
            do {
                _ = try await backend.send(file: "petrel.txt", whole, to: address)
                if let handle = entry.marks.handle { edits.cannotReplace(handle, on: backend.name) }
                return true
            } catch let failure as SendFailure where failure.remedy == .never {
                logger.warning("Cannot send a long text as a file; sending it in pieces: \(failure.message)")
            }
        }
        reply.text = (entry.pieces == 0 ? stamp : "") + (entry.pieces < texts.count ? texts[entry.pieces] : "")
        if !isLast {
            reply.extra = [:]
            reply.buttons = []
            reply.form = nil
        }
        let message = try await backend.send(reply, to: address)
        // A message in several pieces cannot be replaced as one.
        if let handle = entry.marks.handle {
            if let message, texts.count <= 1, let backend = backend as? any Editing {
                edits.remember(handle, message, at: address, on: backend)
            } else {
                edits.cannotReplace(handle, on: backend.name)
            }
        }
        entry.pieces += 1
        return isLast
    }
}
