import CoreMetrics
import Foundation
import PetrelKit

extension Delivery {
    /// How one attempt ended.
    enum Outcome {
        case sent
        /// One piece of a long text was.
        case partly
        case later(after: Duration?, problem: String)
        case never(String)
    }

    /// A text that needs more messages than this goes as a file, where the backend can send one.
    private static let mostPieces = 4

    /// Room for how late a text is.
    private static let margin = 32

    /// Sends a parcel, or the next piece of one that is too long for one message.
    func send(_ item: inout Item) async -> Outcome {
        let (reply, address) = (item.parcel.reply, item.parcel.address)
        guard let backend = backends[address.backend] else { return .never("no backend is called \(address.backend)") }
        let observer = backend as? any CompletionObserving
        if let request = reply.promises, item.parcel.pieces == 0 { observer?.promised(request) }
        guard reply.isVisible else {
            if let request = reply.settles { observer?.settled(request) }
            return .sent
        }
        do {
            let isAll = try await send(&item.parcel, late: ContinuousClock.now - item.since, backend)
            meters.delivered.increment()
            item.attempts = 0
            if isAll, let request = reply.settles { observer?.settled(request) }
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

    private func again(_ item: inout Item, after pause: Duration?, _ problem: String) -> Outcome {
        item.attempts += 1
        if item.parcel.reply.isConfidential, item.attempts >= limits.attempts { return .never(problem) }
        if ContinuousClock.now - item.since >= limits.patience {
            return .never("it was tried for \((ContinuousClock.now - item.since).inWords): \(problem)")
        }
        return .later(after: pause, problem: problem)
    }

    /// Whether that was all of it.
    private func send(_ parcel: inout Parcel, late: Duration, _ backend: any ChatBackend) async throws -> Bool {
        var reply = parcel.reply
        let most = backend.traits.maximumLength
        let texts = MessageSplitter.split(reply.text, atMost: most > 10 * Self.margin ? most - Self.margin : most)
        let isLast = parcel.pieces >= texts.count - 1
        let stamp = late >= limits.late && !reply.text.isEmpty ? "(\(late.inWords) late) " : ""
        if parcel.pieces == 0, texts.count > Self.mostPieces, let backend = backend as? any FileSending {
            reply.text = stamp + reply.text
            _ = try await backend.send(file: "petrel.txt", reply, to: parcel.address)
            return true
        }
        reply.text = (parcel.pieces == 0 ? stamp : "") + (parcel.pieces < texts.count ? texts[parcel.pieces] : "")
        if !isLast { reply.extra = [:] }
        _ = try await backend.send(reply, to: parcel.address)
        parcel.pieces += 1
        return isLast
    }
}
