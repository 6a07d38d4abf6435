import Foundation
import NIOCore
import PetrelKit
import PetrelSupport
import XMLStream

/// Sends stanzas and matches requests with responses. It outlives connections, so that a stream can be resumed.
final class XMPPLink: Sendable {
    /// An error: no stream is open.
    struct NotConnected: Error {}

    /// An error that prevents sending a stanza.
    enum PostError: Error {
        case notConnected
        /// The stanza exceeds the server's limit; the server would close the stream.
        case tooLarge(bytes: Int)
    }

    /// An error: a request got no response in time. An error response is a ``StanzaError``.
    struct Unanswered: Error, CustomStringConvertible {
        var description: String { "no response" }
    }

    private struct Request {
        var asked: JID?
        var answer: CheckedContinuation<XMLElement, any Error>
    }

    private struct State {
        var outgoing: AsyncStream<String>.Continuation?
        /// The number of bytes that are queued for writing.
        var queuedBytes = 0
        var lastWrite = ContinuousClock.now
        var requests: [String: Request] = [:]
        var count = 0
        /// The full JID, with the resource that the server assigned.
        var jid: JID?
        /// True once the negotiation is complete.
        var isOpen = false
        var opened = ContinuousClock.now
        /// True if the current stream was resumed.
        var isResumed = false
        /// The number of streams that were opened, not counting resumptions.
        var streams = 0
        var mostBytes = XMPPLink.usualBytes
    }

    /// The maximum number of queued bytes. Further messages stay in the outbox until the server reads on.
    private static let maximumQueuedBytes = 4 << 20
    /// The maximum number of open requests.
    private static let maximumRequests = 1_000
    /// The maximum size of a stanza, in bytes, that common servers accept: ejabberd's default; prosody's is 262,144.
    static let usualBytes = 65_536
    /// The time to wait for an acknowledgement, including a resumption, before a message is retried.
    private static let patience = Duration.seconds(120)

    let management = Locked(StreamManagement())
    let confirmations = Confirmations()
    private let state = Locked(State())

    /// The full JID of the current stream, or nil before the first one.
    var jid: JID? { state.value.jid }

    /// True if stanzas can be sent.
    var isOpen: Bool { state.value.isOpen }

    /// True if the current stream was resumed.
    var isResumed: Bool { state.value.isResumed }

    /// The number of the current stream, which a resumption does not change.
    var stream: Int { state.value.streams }

    /// The maximum size of a stanza, in bytes.
    var mostBytes: Int { state.value.mostBytes }

    /// Returns true if the stream has been open for at least this time.
    func isOpen(for duration: Duration) -> Bool {
        state.withLock { $0.isOpen && $0.opened.duration(to: .now) >= duration }
    }

    /// The time of the last write.
    var lastWrite: ContinuousClock.Instant { state.value.lastWrite }

    /// Starts a new connection.
    /// - Returns: The texts to write to it, in order.
    func connect() -> AsyncStream<String> {
        let (texts, outgoing) = AsyncStream.makeStream(of: String.self)
        state.withLock { state in
            state.outgoing = outgoing
            state.queuedBytes = 0
        }
        return texts
    }

    /// Opens the stream after a successful negotiation.
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

    /// Closes the stream for sending after a final text.
    func end(saying last: String) {
        state.withLock { state in
            state.isOpen = false
            state.outgoing?.yield(last)
            state.outgoing?.finish()
            state.outgoing = nil
        }
    }

    /// Closes the connection and fails all open requests with ``Unanswered``.
    func disconnect() {
        let (outgoing, requests) = state.withLock { state in
            defer {
                state.outgoing = nil
                state.isOpen = false
                state.requests = [:]
            }
            return (state.outgoing, state.requests.values.map(\.answer))
        }
        outgoing?.finish()
        for request in requests { request.resume(throwing: Unanswered()) }
        management.withLock { management in
            // The stream cannot be resumed, so the delivery of unacknowledged stanzas is unknown.
            guard management.resumption == nil else { return }
            for lost in management.giveUp() { lost.acknowledgement.settle(false) }
        }
    }

    /// Gives up all messages whose outcome is not known, because there will be no further connection.
    func abandon() {
        confirmations.abandon()
        for lost in management.withLock({ $0.giveUp() }) { lost.acknowledgement.settle(false) }
    }

    func written(_ bytes: Int) { state.withLock { $0.queuedBytes -= bytes } }

    /// Writes text that stream management does not count, such as stream headers and acknowledgements.
    func write(_ text: String) throws(NotConnected) {
        let isWritten = state.withLock { state in
            guard let outgoing = state.outgoing else { return false }
            state.queuedBytes += text.utf8.count
            state.lastWrite = .now
            outgoing.yield(text)
            return true
        }
        guard isWritten else { throw NotConnected() }
    }

    /// Sends a stanza without waiting for an acknowledgement.
    func post(_ stanza: XMLElement) throws(PostError) { _ = try enqueue(stanza) }

    private func enqueue(_ stanza: XMLElement) throws(PostError) -> StreamManagement.Acknowledgement {
        let acknowledgement = StreamManagement.Acknowledgement()
        let xml = stanza.xml(in: XMPPNames.client)
        guard xml.utf8.count <= mostBytes else { throw .tooLarge(bytes: xml.utf8.count) }
        let isHanded = management.withLock { management in
            guard state.withLock({ $0.isOpen && $0.queuedBytes < Self.maximumQueuedBytes }) else { return false }
            // Requests an acknowledgement at once, because the sender waits for it.
            let text = management.isOn ? xml + Self.acknowledgementRequest : xml
            guard (try? write(text)) != nil else { return false }
            management.send(stanza, acknowledgement)
            return true
        }
        guard isHanded else { throw .notConnected }
        return acknowledgement
    }

    private static let acknowledgementRequest = XMLElement("r", XMPPNames.management).xml(in: XMPPNames.client)

    /// Sends a stanza and waits until the server acknowledges it. Returns at once if the server does not support stream
    /// management. Throws ``SendFailure``.
    func send(_ stanza: XMLElement) async throws {
        do {
            let acknowledgement = try enqueue(stanza)
            switch await acknowledgement.wait(atMost: Self.patience) {
            case true?: return
            case false?:
                throw SendFailure(
                    "the connection was lost, and it is unknown whether the message was delivered", .later(after: nil))
            case nil:
                // Excludes the stanza from resending; the outbox sends the message again as a new one.
                acknowledgement.settle(false)
                throw SendFailure("the server did not acknowledge the message", .later(after: nil))
            }
        } catch PostError.notConnected {
            throw SendFailure("not connected", .later(after: nil))
        } catch PostError.tooLarge(let bytes) {
            throw SendFailure("the message has \(bytes) bytes; the server accepts at most \(mostBytes)", .never)
        }
    }

    /// Sends a request (RFC 6120, section 8.2.3) and returns the response. Throws ``StanzaError``, ``Unanswered``
    /// or `CancellationError`.
    /// - Parameters:
    ///   - asked: the recipient; nil for the bot's own server.
    ///   - type: `get` or `set`.
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
                if let refusal = take(Request(asked: asked, answer: continuation), as: id) {
                    return continuation.resume(throwing: refusal)
                }
                if (try? post(stanza)) == nil { settle(id, .failure(Unanswered())) }
            }
        } onCancel: {
            settle(id, .failure(CancellationError()))
        }
    }

    /// Registers a request. Returns an error if it cannot be sent.
    private func take(_ request: Request, as id: String) -> (any Error)? {
        state.withLock { state -> (any Error)? in
            // If the task was cancelled before, its cancellation handler has already run without effect.
            if Task.isCancelled { return CancellationError() }
            guard state.isOpen, state.requests.count < Self.maximumRequests else { return Unanswered() }
            state.requests[id] = request
            return nil
        }
    }

    /// Waits until an error for a preceding message to this address would have arrived. Stanzas between two entities
    /// keep their order (RFC 6120, section 10.1), so the response to a request arrives after such an error.
    ///
    /// Throws ``SendFailure`` if the task was cancelled meanwhile.
    func waitForErrors(from target: JID, within patience: Duration) async throws {
        do {
            _ = try await ask(target.bare, "get", XMLElement("query", XMPPNames.info), within: patience)
        } catch is StanzaError {
            // The response itself says nothing about the message.
        } catch is Unanswered {
            // Neither does its absence.
        } catch is CancellationError {
            throw Self.stopping
        }
    }

    /// The error of a message whose outcome will not be known.
    static let stopping = SendFailure(
        "the bot is stopping, and it is unknown whether the message was delivered", .later(after: nil))

    private func settle(_ id: String, _ result: Result<XMLElement, any Error>) {
        state.withLock { $0.requests.removeValue(forKey: id) }?.answer.resume(with: result)
    }

    /// Resolves the request to which a stanza responds. Ignores responses from other senders.
    func answer(_ stanza: XMLElement) {
        guard let id = stanza["id"] else { return }
        let request = state.withLock { state -> Request? in
            guard let request = state.requests[id], Self.isAnswer(stanza["from"], to: request.asked, state.jid)
            else {
                return nil
            }
            return state.requests.removeValue(forKey: id)
        }
        guard let request else { return }
        if let error = StanzaError(stanza) { return request.answer.resume(throwing: error) }
        request.answer.resume(returning: stanza)
    }

    /// Returns true if a response comes from the recipient of the request. The bot's own server may omit `from`, or set
    /// it to the bot's JID.
    private static func isAnswer(_ from: String?, to asked: JID?, _ own: JID?) -> Bool {
        let from = from.flatMap { JID($0) }
        if let asked { return from == asked }
        return from == nil || from == own || from == own?.bare || from?.description == own?.domain
    }
}
