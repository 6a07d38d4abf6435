import Foundation
import NIOCore
import PetrelKit
import PetrelSupport

/// The way out, while there is a stream: stanzas in their order, questions and their answers. It outlives connections,
/// so that a stream that is resumed goes on where it was.
final class XMPPLink: Sendable {
    /// There is no stream at the moment.
    struct NotConnected: Error {}

    /// Why a stanza is not on its way.
    enum NotHanded: Error {
        case notConnected
        /// The server would end the stream.
        case tooLarge(bytes: Int)
    }

    /// A question got no answer in time. One that was refused is a ``StanzaError``.
    struct Unanswered: Error {}

    private struct Question {
        var asked: JID?
        var answer: CheckedContinuation<XMLElement, any Error>
    }

    private struct State {
        var outgoing: AsyncStream<String>.Continuation?
        /// Bytes that wait to be written.
        var waiting = 0
        var lastWrite = ContinuousClock.now
        var questions: [String: Question] = [:]
        var count = 0
        /// With the resource that the server gave.
        var jid: JID?
        /// Somebody else than the negotiation may speak.
        var isOpen = false
        var opened = ContinuousClock.now
        /// What was sent while the connection was away comes now.
        var isResumed = false
        /// Streams that were begun, and not taken up again.
        var streams = 0
        var mostBytes = XMPPLink.usualBytes
    }

    /// More bytes than this wait only while the server reads slowly: what is said then waits in the store.
    private static let most = 4 << 20
    private static let mostQuestions = 1_000
    /// ejabberd's limit; prosody takes four times as much.
    static let usualBytes = 65_536
    /// So long a stream that broke off may be taken up again before what was on its way is sent anew.
    private static let patience = Duration.seconds(120)

    let management = Locked(StreamManagement())
    let confirmations = Confirmations()
    private let state = Locked(State())

    var jid: JID? { state.value.jid }

    var isOpen: Bool { state.value.isOpen }

    /// The stream went on where it was.
    var isResumed: Bool { state.value.isResumed }

    /// Another one for every stream that was not taken up again.
    var stream: Int { state.value.streams }

    /// The largest stanza that the server takes.
    var mostBytes: Int { state.value.mostBytes }

    /// Whether the stream can be used for so long already.
    func isOpen(for duration: Duration) -> Bool {
        state.withLock { $0.isOpen && $0.opened.duration(to: .now) >= duration }
    }

    /// When something was written the last time.
    var lastWrite: ContinuousClock.Instant { state.value.lastWrite }

    /// A connection is there.
    /// - Returns: what is to be written to it, in its order.
    func connect() -> AsyncStream<String> {
        let (texts, outgoing) = AsyncStream.makeStream(of: String.self)
        state.withLock { state in
            state.outgoing = outgoing
            state.waiting = 0
        }
        return texts
    }

    /// The stream can be used.
    func open(_ outcome: Negotiation.Outcome) {
        state.withLock { state in
            state.jid = outcome.jid
            state.isResumed = outcome.isResumed
            if !outcome.isResumed { state.streams += 1 }
            state.mostBytes = min(outcome.mostBytes ?? Self.usualBytes, Self.usualBytes)
            state.opened = .now
            state.isOpen = true
        }
    }

    /// Nothing more follows.
    func end(saying last: String) {
        state.withLock { state in
            state.isOpen = false
            state.outgoing?.yield(last)
            state.outgoing?.finish()
            state.outgoing = nil
        }
    }

    /// The connection is gone. What was asked stays unanswered.
    func disconnect() {
        let (outgoing, questions) = state.withLock { state in
            defer {
                state.outgoing = nil
                state.isOpen = false
                state.questions = [:]
            }
            return (state.outgoing, state.questions.values.map(\.answer))
        }
        outgoing?.finish()
        for question in questions { question.resume(throwing: Unanswered()) }
        management.withLock { management in
            // Without a name to take it up by, nobody knows what arrived.
            guard management.resumption == nil else { return }
            for lost in management.giveUp() { lost.fate.settle(false) }
        }
    }

    func written(_ bytes: Int) { state.withLock { $0.waiting -= bytes } }

    /// Outside of what is counted: headers, and the words of stream management.
    func write(_ text: String) throws(NotConnected) {
        let isWritten = state.withLock { state in
            guard let outgoing = state.outgoing else { return false }
            state.waiting += text.utf8.count
            state.lastWrite = .now
            outgoing.yield(text)
            return true
        }
        guard isWritten else { throw NotConnected() }
    }

    /// A stanza that nobody waits for.
    func post(_ stanza: XMLElement) throws(NotHanded) { _ = try hand(stanza) }

    private func hand(_ stanza: XMLElement) throws(NotHanded) -> StreamManagement.Fate {
        let fate = StreamManagement.Fate()
        let xml = stanza.xml(in: XMPPNames.client)
        guard xml.utf8.count <= mostBytes else { throw .tooLarge(bytes: xml.utf8.count) }
        let isHanded = management.withLock { management in
            guard state.withLock({ $0.isOpen && $0.waiting < Self.most }) else { return false }
            // It asks at once what the server has: who sent it waits for that.
            let text = management.isOn ? xml + Self.question : xml
            guard (try? write(text)) != nil else { return false }
            management.send(stanza, fate)
            return true
        }
        guard isHanded else { throw .notConnected }
        return fate
    }

    private static let question = XMLElement("r", XMPPNames.management).xml(in: XMPPNames.client)

    /// Returns once the server has it, as far as it tells. Throws ``SendFailure``.
    func send(_ stanza: XMLElement) async throws {
        do {
            let fate = try hand(stanza)
            switch await fate.wait(atMost: Self.patience) {
            case true?: return
            case false?:
                throw SendFailure("the connection broke off, and nobody knows whether it arrived", .later(after: nil))
            case nil:
                // It is sent anew as another one.
                fate.settle(false)
                throw SendFailure("the server does not acknowledge it", .later(after: nil))
            }
        } catch NotHanded.notConnected {
            throw SendFailure("there is no connection", .later(after: nil))
        } catch NotHanded.tooLarge(let bytes) {
            throw SendFailure("it has \(bytes) bytes, and the server takes at most \(mostBytes)", .never)
        }
    }

    /// Asks something (RFC 6120, section 8.2.3) and returns the answer. Throws ``StanzaError``, ``Unanswered``
    /// or `CancellationError`.
    /// - Parameter asked: nil for our own server.
    func ask(
        _ asked: JID?, _ type: String, _ content: XMLElement, within patience: Duration = .seconds(20)
    ) async throws -> XMLElement {
        let id = UUID().uuidString
        let stanza = XMLElement("iq", "", ["type": type, "to": asked?.description, "id": id], [content])
        let timer = Task {
            try await Task.sleep(for: patience)
            self.settle(id, .failure(Unanswered()))
        }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if let refusal = take(Question(asked: asked, answer: continuation), as: id) {
                    return continuation.resume(throwing: refusal)
                }
                if (try? post(stanza)) == nil { settle(id, .failure(Unanswered())) }
            }
        } onCancel: {
            settle(id, .failure(CancellationError()))
        }
    }

    /// Keeps a question until it is settled. Returns why it cannot be asked, if so.
    private func take(_ question: Question, as id: String) -> (any Error)? {
        state.withLock { state -> (any Error)? in
            // The handler of a task that was cancelled before has run, and found nothing.
            if Task.isCancelled { return CancellationError() }
            guard state.isOpen, state.questions.count < Self.mostQuestions else { return Unanswered() }
            state.questions[id] = question
            return nil
        }
    }

    /// Returns once what may come back of a message to somebody has come: what goes between two keeps its order (RFC 6120,
    /// section 10.1), so that a question which follows it is answered later.
    func follow(_ target: JID, within patience: Duration) async {
        // Whatever the answer is, and if there is none: it says nothing of the message.
        _ = try? await ask(target.bare, "get", XMLElement("query", XMPPNames.info), within: patience)
    }

    private func settle(_ id: String, _ result: Result<XMLElement, any Error>) {
        state.withLock { $0.questions.removeValue(forKey: id) }?.answer.resume(with: result)
    }

    /// An answer, from whoever was asked.
    func answer(_ stanza: XMLElement) {
        guard let id = stanza["id"] else { return }
        let question = state.withLock { state -> Question? in
            guard let question = state.questions[id], Self.isAnswer(stanza["from"], to: question.asked, state.jid)
            else {
                return nil
            }
            return state.questions.removeValue(forKey: id)
        }
        guard let question else { return }
        if let error = StanzaError(stanza) { return question.answer.resume(throwing: error) }
        question.answer.resume(returning: stanza)
    }

    /// Our own server may answer without a name, or by ours.
    private static func isAnswer(_ from: String?, to asked: JID?, _ own: JID?) -> Bool {
        let from = from.flatMap { JID($0) }
        if let asked { return from == asked }
        return from == nil || from == own || from == own?.bare || from?.description == own?.domain
    }
}
