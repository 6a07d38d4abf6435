import PetrelSupport

@testable import StackStormClient

/// The state of an event stream with a clock of its own. Handling takes no time.
struct EventStreamRun {
    static let limits = EventStreamState.Limits(answer: .seconds(30), silence: .seconds(40), courtesy: .seconds(1))
    static let refused = StackStormError(.unreachable, "no connection")
    static let broken = StackStormError(.noAnswer, "StackStorm closed the stream")
    static let down = StackStormError(.serverFailure, "StackStorm's stream service is down")
    static let opened = StackStormTime(microseconds: 5)

    private(set) var now = ContinuousClock.now
    private(set) var state: EventStreamState

    /// Pauses last as many seconds as there were failures, and half a second after none.
    init() {
        state = EventStreamState(Self.limits, at: now) { $0 == 0 ? .milliseconds(500) : .seconds($0) }
    }

    var untilDeadline: Duration? { state.deadline.map { $0 - now } }

    mutating func take(_ event: EventStreamState.Event) -> [EventStreamState.Action] { state.take(event, at: now) }

    mutating func pass(_ duration: Duration) -> [EventStreamState.Action] {
        now += duration
        return take(.time)
    }

    /// The actions when the deadline comes.
    mutating func passUntilDeadline() -> [EventStreamState.Action] { pass(untilDeadline ?? .zero) }

    /// Opens the next connection, which answers and sends the newline with which StackStorm begins.
    mutating func connect(_ number: Int) {
        _ = passUntilDeadline()
        _ = take(.answered(number, time: Self.opened))
        _ = take(.received(number, []))
    }

    /// Delivers events, and handles those that are to be handled.
    /// - Returns: the data of the handled events.
    mutating func deliver(_ data: [String], on number: Int) -> [String] {
        handle(take(.received(number, data.map { .event(Self.event($0)) })))
    }

    /// Carries out the actions that handle events.
    mutating func handle(_ actions: [EventStreamState.Action]) -> [String] {
        var handled: [String] = []
        for case .handle(let events, let number) in actions {
            handled += events.map { String(decoding: $0.data, as: UTF8.self) }
            _ = take(.handled(number))
        }
        return handled
    }

    static func event(_ data: String) -> ServerSentEvent { ServerSentEvent(name: "e", data: Array(data.utf8)) }
}
