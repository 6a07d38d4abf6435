import Foundation
public import Logging
public import PetrelKit

/// Chat on standard input and output.
public final class TextBackend: ChatBackend, CompletionObserving, Completing {
    public let name: String
    public let traits: BackendTraits
    private let settings: TextSettings
    private let logger: Logger
    private let screen: any TextScreen
    private let open = OpenQuestions()

    public init(name: String, settings: TextSettings, logger: Logger) {
        self.name = name
        self.settings = settings
        self.logger = logger
        let isTerminal = isatty(STDIN_FILENO) == 1 && settings.format == .terminal
        traits = BackendTraits(threads: true, privateReplies: true, maximumLength: isTerminal ? 20_000 : 1_000_000)
        let place = TextPlace(user: settings.user, room: settings.room)
        switch settings.format {
        case .jsonl: screen = JSONLines(logger: logger)
        case .terminal where isTerminal: screen = Terminal(place: place, history: settings.history)
        case .terminal: screen = PlainLines(place: place)
        }
    }

    public func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        for await message in screen.messages() {
            open.asked(message.id)
            await deliver(message)
        }
        await open.settled(within: settings.linger)
        screen.close()
    }

    public func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        if let promise = reply.promises { open.asked(promise) }
        if !reply.text.isEmpty || !reply.extra.isEmpty { screen.show(reply, at: address) }
        if let promise = reply.settles { open.answered(promise) }
        return nil
    }

    public func completed(_ messageID: String) { open.answered(messageID) }

    public func complete(from lines: @escaping @Sendable () -> [String], prefix: String) {
        (screen as? Terminal)?.complete { lines().map { prefix + $0 } }
    }
}

extension TextBackend: PlaceNaming {
    public func place(named name: String) -> Address.Place? { name.hasPrefix("@") ? .direct(name) : .room(name) }
}

/// One way of reading and writing.
protocol TextScreen: Sendable {
    /// What is typed, until the end of the input.
    func messages() -> AsyncStream<ChatMessage>
    func show(_ reply: Reply, at address: Address)
    func close()
}

extension TextScreen {
    func close() {}
}

/// What was asked and not yet answered, so that the end of the input does not cut off results.
final class OpenQuestions: Sendable {
    private struct State {
        var open: Set<String> = []
        /// Answered before it was known that there was a question: a result can overtake its acknowledgement.
        var early: Set<String> = []
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Locked(State())

    func asked(_ id: String) {
        state.withLock { state in
            if state.early.remove(id) == nil { state.open.insert(id) }
        }
    }

    func answered(_ id: String) {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            if state.open.remove(id) == nil, state.early.count < 10_000 { state.early.insert(id) }
            guard state.open.isEmpty else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns once nothing is open, or when the time is over.
    func settled(within limit: Duration) async {
        let timer = Task {
            try await Task.sleep(for: limit)
            release()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSettled = state.withLock { state in
                    guard !state.open.isEmpty, !Task.isCancelled else { return true }
                    state.waiter = continuation
                    return false
                }
                if isSettled { continuation.resume() }
            }
        } onCancel: {
            release()
        }
        timer.cancel()
    }

    private func release() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
