import Foundation
package import Logging
package import PetrelKit
import PetrelSupport

/// Chat on standard input and output.
package final class TextBackend: ChatBackend, CompletionObserving, Completing, LogWriting {
    package let name: String
    package let traits: BackendTraits
    private let settings: TextSettings
    private let logger: Logger
    private let screen: any TextScreen
    private let open = OpenQuestions()

    package init(name: String, settings: TextSettings, logger: Logger) {
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

    /// Opened when nobody will ever read what is said.
    private let unread = Signal()

    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.converse(deliver) }
            group.addTask { await self.unread.wait() }
            await group.next()
            group.cancelAll()
        }
        screen.close()
        guard unread.isOpen, !Task.isCancelled else { return }
        throw BackendFailure(
            "nobody reads the standard output any more; what was not said is kept for the next run", isFinal: true)
    }

    private func converse(_ deliver: @escaping @Sendable (ChatMessage) async -> Void) async {
        for await message in screen.messages() {
            open.asked("message \(message.id)")
            await deliver(message)
        }
        await open.settled(within: settings.linger)
    }

    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let code = await screen.show(reply, at: address)
        guard code != 0 else { return nil }
        // Nobody will ever read an answer.
        if [EPIPE, EBADF, EIO].contains(code) { open.giveUp() }
        // A terminal that is gone ends its input as well, and is no failure.
        if code == EPIPE || code == EBADF { unread.open() }
        // What is not said here is kept for the next process.
        throw SendFailure("the standard output: \(String(cString: strerror(code)))", .later(after: .seconds(10)))
    }

    package func completed(_ messageID: String) { open.answered("message \(messageID)") }

    /// Where log lines go while this backend is a terminal that shares its screen with standard error: above the line
    /// that is being typed. Nil when standard error is elsewhere.
    package var logWriter: (@Sendable (String) -> Void)? {
        guard let terminal = screen as? Terminal, isatty(STDERR_FILENO) == 1 else { return nil }
        return { terminal.print($0.trimmingCharacters(in: .newlines)) }
    }

    package func promised(_ request: String) { open.asked("result \(request)") }

    package func settled(_ request: String) { open.answered("result \(request)") }

    package func complete(
        from lines: @escaping @Sendable () -> [String], prefix: String,
        isSecret: @escaping @Sendable (String) -> Bool
    ) {
        (screen as? Terminal)?.complete(from: { lines().map { prefix + $0 } }, isSecret: isSecret)
    }
}

extension TextBackend: PlaceNaming {
    package func claim(_ name: String) -> PlaceClaim {
        .possible(name.utf8.first == UInt8(ascii: "@") ? .direct(name) : .room(name))
    }
}

/// One way of reading and writing.
protocol TextScreen: Sendable {
    /// What is typed, until the end of the input.
    func messages() -> AsyncStream<ChatMessage>
    /// 0, or the number of the error (errno(3)) for which it was not shown.
    func show(_ reply: Reply, at address: Address) async -> CInt
    func close()
}

extension TextScreen {
    func close() {}
}

/// What was asked and not yet answered, so that the end of the input does not cut off results.
final class OpenQuestions: Sendable {
    private struct State {
        /// How often each was asked, less how often it was answered: below zero where a result overtook its promise.
        var balance: [String: Int] = [:]
        var open = 0
        var isOver = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private static let mostEarly = 10_000

    private let state = Locked(State())

    func asked(_ id: String) { count(id, 1) }

    func answered(_ id: String) { count(id, -1) }

    private func count(_ id: String, _ step: Int) {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            let before = state.balance[id, default: 0]
            let after = before + step
            // Results that nobody here was promised: those of an earlier run, say.
            if after < 0, state.balance.count >= Self.mostEarly { return nil }
            state.balance[id] = after == 0 ? nil : after
            state.open += max(after, 0) - max(before, 0)
            guard state.open == 0 else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns once nothing is open, or when the time is over.
    func settled(within limit: Duration) async {
        let timer = Task {
            try await Task.sleep(for: limit)
            giveUp()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSettled = state.withLock { state in
                    if state.open == 0 || state.isOver { return true }
                    state.waiter = continuation
                    return false
                }
                if isSettled { continuation.resume() }
            }
        } onCancel: {
            giveUp()
        }
        timer.cancel()
    }

    /// Nothing more is waited for.
    func giveUp() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            state.isOver = true
            return state.waiter
        }
        waiter?.resume()
    }
}
