/// The decisions of ``EventStream``: which connection is read, when another one is opened, and when it takes over.
///
/// This is a pure value: it receives events with their times, and returns actions. Connections are numbered in the
/// order in which they are opened. Events of connections that are closed are ignored.
struct EventStreamState: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// An input of the state machine.
    enum Event: Sendable, Equatable {
        /// ``EventStreamState/deadline`` may have passed. The first one opens the first connection.
        case time
        /// The head of the response has arrived.
        /// - time: the time of the response, by StackStorm's clock.
        case answered(Int, time: StackStormTime?)
        /// A chunk of the body has arrived, and completes these items. The connection reads nothing more until it may.
        case received(Int, [ServerSentEventParser.Item])
        /// The events of the last ``Action/handle(_:from:)`` have been handled.
        case handled(Int)
        /// The connection has ended, or could not be established.
        case ended(Int, StackStormError)
        case cancelled
    }

    /// An output of the state machine. Actions are performed in order, before the next event is processed.
    enum Action: Sendable, Equatable {
        case open(Int)
        /// Stops reading. The connection may deliver a chunk that it has read, and then reports its end.
        case close(Int)
        /// Allows the connection to read the next chunk.
        case read(Int)
        case handle([ServerSentEvent], from: Int)
        /// Reports a new active connection, with the time of its response by StackStorm's clock.
        case connected(StackStormTime?)
        /// Reports that the attempt to connect has succeeded or failed.
        case attempted
        /// Reports an event that exceeded the limit.
        case skipped(name: String, bytes: Int)
        /// Reports a failure, after which the next attempt follows.
        case retry(StackStormError, after: Duration)
    }

    struct Limits: Sendable {
        /// The timeout for the head of the first connection's response, and for the first byte of any other.
        var answer: Duration
        /// The silence after which another connection is opened.
        var silence: Duration
        /// The time that the first connection has for its first byte. After that it is used although it is silent:
        /// StackStorm writes a newline at once, but a proxy may hold it back.
        var courtesy = Duration.seconds(1)
    }

    /// A connection from which nothing is handled yet.
    struct Opening: Sendable {
        var number: Int
        var deadline: Instant
        var isAnswered = false
        /// The time of the response, by StackStorm's clock.
        var time: StackStormTime?
    }

    enum Phase: Sendable {
        case waiting(until: Instant)
        /// There is no connection but the one that is being opened.
        case opening(Opening)
        /// - renewal: the earliest time for opening another connection.
        case following(Reading, renewal: Instant)
        /// The connection has been silent for too long. It is read until another one delivers something.
        case renewing(Reading, with: Opening)
        /// The previous connection has been closed, and has not reported its end.
        /// - first: the first items of the new one.
        case handingOver(Reading, to: Opening, first: [ServerSentEventParser.Item])
        case over
    }

    let limits: Limits
    /// The time to wait after a number of failures in a row.
    let pauses: @Sendable (_ failures: Int) -> Duration
    var health: EventStream.Health
    var phase: Phase
    var count = 0
    var failures = 0

    init(
        _ limits: Limits, health: EventStream.Health = .init(), at now: Instant,
        pauses: @escaping @Sendable (_ failures: Int) -> Duration
    ) {
        self.limits = limits
        self.health = health
        self.pauses = pauses
        phase = .waiting(until: now)
    }

    /// The time at which ``Event/time`` is due.
    var deadline: Instant? {
        switch phase {
        case .waiting(let until): until
        case .opening(let opening), .renewing(_, with: let opening): opening.deadline
        case .following(_, let renewal): max(renewal, (health.lastByte ?? renewal) + limits.silence)
        case .handingOver, .over: nil
        }
    }

    mutating func take(_ event: Event, at now: Instant) -> [Action] {
        switch event {
        case .time: passed(now)
        case .answered(let number, let time): answered(number, time, now)
        case .received(let number, let items): received(items, from: number, now)
        case .handled(let number): handled(number, now)
        case .ended(let number, let error): ended(number, error, now)
        case .cancelled: cancelled()
        }
    }
}
