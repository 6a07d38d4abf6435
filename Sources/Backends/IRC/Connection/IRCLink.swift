import PetrelKit
import PetrelSupport

/// The connection to the server, and the state that receiving and sending share.
final class IRCLink: Sendable {
    /// An exchange that is not complete, and the signal for its end.
    private struct Open: Sendable {
        var exchange: IRCExchange
        let isOver = Signal()
        /// True if the server has answered the ping.
        var isAnswered = false
    }

    private struct State: Sendable {
        var session: IRCSession
        var outgoing: AsyncStream<[UInt8]>.Continuation?
        /// The number of the connection.
        var connection = 0
        var flood: FloodLimit
        var open: [String: Open] = [:]
        var pings = 0
        var lastHeard = ContinuousClock.now
    }

    /// The maximum number of queued lines. If the server reads so slowly, the connection ends.
    private static let longestQueue = 10_000

    private let settings: IRCSettings
    private let version: String
    private let state: Locked<State>

    init(_ settings: IRCSettings, version: String) {
        self.settings = settings
        self.version = version
        state = Locked(
            State(session: IRCSession(settings, version: version), flood: Self.flood(settings)))
    }

    private static func flood(_ settings: IRCSettings) -> FloodLimit {
        FloodLimit(lines: settings.floodLines, in: settings.floodPeriod)
    }

    /// A copy of the session.
    var session: IRCSession { state.withLock { $0.session } }

    /// The time of the last data from the server.
    var lastHeard: ContinuousClock.Instant { state.withLock { $0.lastHeard } }

    /// Starts a new connection.
    /// - Returns: The lines to write to it, and the actions of the session.
    func connect() -> (lines: AsyncStream<[UInt8]>, actions: [IRCAction]) {
        let (lines, outgoing) = AsyncStream.makeStream(
            of: [UInt8].self, bufferingPolicy: .bufferingOldest(Self.longestQueue))
        let actions = state.withLock { state in
            state.session = newSession(after: state.session)
            state.outgoing = outgoing
            state.connection += 1
            state.flood = Self.flood(settings)
            state.lastHeard = .now
            return Self.perform(state.session.start(), &state)
        }
        return (lines, actions)
    }

    /// Returns a session that compares names as the last one, so that addresses remain valid between connections.
    private func newSession(after last: IRCSession) -> IRCSession {
        var session = IRCSession(settings, version: version)
        session.comparison = last.comparison
        return session
    }

    /// Closes the connection for sending after a final message, and fails the exchanges that are not complete.
    func end(saying last: IRCMessage?) {
        let open = state.withLock { state in
            if let line = last.flatMap({ try? $0.encoded() }) { state.outgoing?.yield(line) }
            state.outgoing?.finish()
            state.outgoing = nil
            // All visits have ended.
            state.session = newSession(after: state.session)
            defer { state.open = [:] }
            return Array(state.open.values)
        }
        for exchange in open { exchange.isOver.open() }
    }

    func heard() { state.withLock { $0.lastHeard = .now } }

    /// Processes a message. Returns the actions that are not about sending.
    func receive(_ message: IRCMessage) -> [IRCAction] {
        state.withLock { Self.perform($0.session.receive(message, at: .now), &$0) }
    }

    /// Processes the end of a timer of a connection. Returns the actions that are not about sending.
    func fired(_ timer: IRCTimer, of connection: Int) -> [IRCAction] {
        state.withLock { state in
            guard state.connection == connection, state.outgoing != nil else { return [] }
            return Self.perform(state.session.fired(timer, at: .now), &state)
        }
    }

    /// The number of the connection.
    var connection: Int { state.withLock { $0.connection } }

    private static func perform(_ actions: [IRCAction], _ state: inout State) -> [IRCAction] {
        var rest: [IRCAction] = []
        for action in actions {
            switch action {
            case .send(let message):
                if let problem = write(message, &state) { rest.append(problem) }
            case .pong(let token):
                state.open[token]?.isAnswered = true
                state.open[token]?.isOver.open()
            case .echo, .refused, .account:
                for (token, open) in state.open where !open.isAnswered {
                    state.open[token]?.exchange.take(action, state.session.fold)
                }
            default: rest.append(action)
            }
        }
        return rest
    }

    /// Queues a message of the session, which counts for the flood limit but does not wait.
    private static func write(_ message: IRCMessage, _ state: inout State) -> IRCAction? {
        do {
            let line = try message.encoded()
            // Servers do not limit the login.
            if message.command != "PONG", state.session.phase == .open { _ = state.flood.reserve(at: .now) }
            guard case .dropped? = state.outgoing?.yield(line) else { return nil }
            return .fail(BackendFailure("the server does not read what the bot sends"))
        } catch {
            return .note("Did not send a message: \(error).", isWarning: true)
        }
    }
}

extension IRCLink {
    /// Asks the server for a sign of life.
    func ping() {
        state.withLock { state in
            let line = Self.ping(Self.token(&state))
            _ = state.outgoing?.yield(line)
        }
    }

    private static func token(_ state: inout State) -> String {
        state.pings += 1
        return "petrel-\(state.connection)-\(state.pings)"
    }

    private static func ping(_ token: String) -> [UInt8] { Array("PING :\(token)\r\n".utf8) }

    /// Sends messages to one target, each as soon as the flood limit allows it, and then a ping. Returns the exchange
    /// after the server has answered the ping. Throws ``SendFailure`` if the connection is lost before that.
    func exchange(_ messages: [IRCMessage], with target: String) async throws -> IRCExchange {
        let lines = try messages.map { try $0.encoded() }
        let (token, connection, isOver) = try begin(with: target)
        defer { state.withLock { $0.open[token] = nil } }
        for line in lines {
            let pause = state.withLock { $0.flood.reserve(at: .now) }
            if pause > .zero { try await Task.sleep(for: pause) }
            try write(line, on: connection)
        }
        try write(Self.ping(token), on: connection)
        await Signal.wait(for: isOver, atMost: settings.patience)
        try Task.checkCancellation()
        return try finished(token)
    }

    private func begin(with target: String) throws -> (token: String, connection: Int, isOver: Signal) {
        try state.withLock { state in
            guard state.outgoing != nil, state.session.phase == .open else { throw Self.notConnected }
            let token = Self.token(&state)
            let open = Open(exchange: IRCExchange(target: state.session.fold(target)))
            state.open[token] = open
            return (token, state.connection, open.isOver)
        }
    }

    private func write(_ line: [UInt8], on connection: Int) throws {
        try state.withLock { state in
            guard state.connection == connection, let outgoing = state.outgoing else { throw Self.lost }
            guard case .enqueued = outgoing.yield(line) else { throw Self.lost }
        }
    }

    private func finished(_ token: String) throws -> IRCExchange {
        try state.withLock { state in
            guard let open = state.open[token] else { throw Self.lost }
            guard open.isAnswered else {
                throw SendFailure("the server did not confirm the message in time", .later(after: nil))
            }
            return open.exchange
        }
    }

    private static let notConnected = SendFailure("not connected", .later(after: nil))
    private static let lost = SendFailure(
        "the connection was lost, and it is unknown whether the message was delivered", .later(after: nil))
}
