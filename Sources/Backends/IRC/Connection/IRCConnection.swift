import Logging
import NIOCore
import PetrelKit
import PetrelSupport

/// One connection: reads messages, performs the actions of the session, and notices when the server is gone.
struct IRCConnection: Sendable {
    let link: IRCLink
    let loop: EventLoopExecutor
    let logger: Logger
    /// The time without data after which the server is asked for a sign of life.
    let silence: Duration
    let deliver: @Sendable (ChatMessage) async -> Void
    private let failure = Locked<BackendFailure?>(nil)
    private let hasFailed = Signal()

    init(
        link: IRCLink, loop: EventLoopExecutor, logger: Logger, silence: Duration,
        deliver: @escaping @Sendable (ChatMessage) async -> Void
    ) {
        self.link = link
        self.loop = loop
        self.logger = logger
        self.silence = silence
        self.deliver = deliver
    }

    /// Reads until the connection ends. Throws ``BackendFailure`` or `CancellationError`.
    func converse(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ isOver: Signal) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                await isOver.wait()
                try Task.checkCancellation()
                throw BackendFailure("the connection was lost")
            }
            group.addTask {
                await hasFailed.wait()
                try Task.checkCancellation()
                throw failure.value ?? BackendFailure("the connection was lost")
            }
            group.addTask { try await watch() }
            group.addTask(executorPreference: loop) { try await read(inbound) }
            try await group.next()
        }
    }

    private func read(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async throws {
        var reader = IRCLineReader()
        for try await bytes in inbound {
            link.heard()
            for message in reader.feed(bytes.readableBytesView) { try await perform(link.receive(message)) }
        }
        try Task.checkCancellation()
        throw BackendFailure("the server closed the connection")
    }

    /// Performs the actions that are not about sending. Throws ``BackendFailure`` if one of them ends the connection.
    func perform(_ actions: [IRCAction]) async throws {
        for action in actions {
            if case .deliver(let message) = action {
                await deliver(message)
            } else {
                performNow(action)
            }
        }
        if let failure = failure.value { throw failure }
    }

    private func performNow(_ action: IRCAction) {
        switch action {
        case .opened: logger.info("Logged in as \(link.session.nick).")
        case .note(let text, let isWarning): logger.log(level: isWarning ? .warning : .info, "\(text)")
        case .fail(let reason):
            failure.withLock { $0 = $0 ?? reason }
            hasFailed.open()
        case .schedule(let timer, let pause):
            let connection = link.connection
            loop.after(pause) { for action in link.fired(timer, of: connection) { performNow(action) } }
        default: break
        }
    }

    /// Pings the server when it is silent. Throws ``BackendFailure`` after two pings without an answer.
    private func watch() async throws {
        var unanswered = 0
        while true {
            try await Task.sleep(for: silence)
            guard link.lastHeard.duration(to: .now) >= silence else {
                unanswered = 0
                continue
            }
            if unanswered == 2 { throw BackendFailure("the server does not respond to pings") }
            link.ping()
            unanswered += 1
        }
    }
}
