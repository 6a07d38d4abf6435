import Foundation
import PetrelKit
package import PetrelSupport
import StackStormClient

/// A StackStorm in memory that behaves as the recorded one. ``Simulator`` serves it over HTTP.
package actor SimulatedStackStorm {
    struct Subscriber {
        var filters: [String]
        var continuation: AsyncStream<[UInt8]>.Continuation
    }

    /// An account.
    package struct User: Sendable {
        package var name: String
        package var password: String
        /// The references of the actions that the account may not run, as with RBAC.
        package var forbidden: Set<String>
        /// True if the account has no role, as with RBAC, and may only read its own account.
        package var hasNoRole: Bool
        /// True if the account may request tokens of other users.
        package var isService = false
        /// The nicknames by origin, such as `slack`.
        package var nicknames: [String: String] = [:]

        package init(name: String, password: String, forbidden: Set<String> = [], hasNoRole: Bool = false) {
            self.name = name
            self.password = password
            self.forbidden = forbidden
            self.hasNoRole = hasNoRole
        }
    }

    struct TokenState {
        var user: String
        var expiry: Date
    }

    var users: [User]
    var apiKeys: [String: String] = [:]
    var tokens: [String: TokenState] = [:]
    var aliases: [JSONValue] = []
    var actions: [String: SimulatedAction] = [:]
    var executions: [String: [String: JSONValue]] = [:]
    var order: [String] = []
    var outputs: [String: String] = [:]
    var runs: [String: Task<Void, Never>] = [:]
    var inquiries: [String: Bool] = [:]
    /// The executions that wait for the response to their inquiry.
    var asking: [String: AsyncStream<[String: JSONValue]>.Continuation] = [:]
    /// The values for expressions such as `st2kv.system.petrel_secret`.
    package var datastore = ["petrel_secret": "TOP-SECRET-42"]
    var subscribers: [Int: Subscriber] = [:]
    var faults: [Fault.Area: Fault] = [:]
    /// The number of executions of each command line.
    package internal(set) var started: [String: Int] = [:]
    /// The number of requests by method and path, such as `GET /api/v1/user`.
    package private(set) var requests: [String: Int] = [:]
    var askers: [String: String] = [:]
    /// The last body of each method and path.
    private var bodies: [String: [UInt8]] = [:]
    private var isEnding = false
    /// The error of the clock, in seconds.
    private var clockError = 0.0
    /// The error of the web server's clock, in seconds.
    nonisolated let webClockError = Locked(0.0)
    private var silent: [AsyncStream<[UInt8]>.Continuation] = []
    private var hanging: [CheckedContinuation<Void, Never>] = []
    private var changes = 0
    private var changeWaiters: [CheckedContinuation<Void, Never>] = []
    private var expectations: [(path: String, times: Int, waiter: CheckedContinuation<Void, Never>)] = []
    private var opened: [CheckedContinuation<Void, Never>] = []
    private var count = 0
    private var subscriptions = 0
    /// True if the notify rule passes on the `source_context`.
    package var passesContext = true
    /// True if results are announced. An invalid result template prevents it.
    package var announces = true
    /// A text to replace in every response of the API, for instance to produce invalid JSON as Python can.
    package var garble: (text: String, replacement: String)?
    /// True to delay the announcements of results until ``postDelayed()``.
    package var delaysResults = false
    var delayed: [(parent: String, payload: [String: JSONValue], route: String)] = []
    /// True if no account may read actions, as with RBAC.
    package var hidesActions = false
    /// True if only administrators may use `limit=-1`, as with RBAC.
    var refusesUnlimited = false
    private static let instance = UInt64.random(in: 0...UInt64.max)

    package init(_ content: SimulatedContent = .demo, users: [User] = .demo) {
        self.users = users
        for action in content.actions { actions[action.ref] = action }
        var number = 0
        aliases = content.aliases.map { alias in
            guard var object = alias.object else { return alias }
            number += 1
            if object["id"] == nil { object["id"] = .string(String(format: "%024x", number)) }
            return .object(object)
        }
    }

    /// Returns a new ID of 24 hexadecimal digits, which rises like those of MongoDB.
    func newID() -> String {
        count += 1
        return String(
            format: "%08x%08x%08x", Int(Date.now.timeIntervalSince1970), UInt32(truncatingIfNeeded: Self.instance),
            count)
    }

    /// Sets the error of the clock for the start and end of executions.
    ///
    /// - Parameters:
    ///   - error: The duration by which the clock is fast.
    ///   - ofWeb: True to set the clock of the web server, which writes the `Date` header, as well.
    package func setClock(error: Duration, ofWeb: Bool = false) {
        clockError = error / .seconds(1)
        if ofWeb { webClockError.withLock { $0 = error / .seconds(1) } }
    }

    func timestamp(_ date: Date = .now) -> String { Self.timestamp(date + clockError) }

    static func timestamp(_ date: Date) -> String {
        let seconds = date.timeIntervalSince1970.rounded(.down)
        let micros = Int((date.timeIntervalSince1970 - seconds) * 1_000_000)
        return Date(timeIntervalSince1970: seconds).formatted(.iso8601).dropLast() + String(format: ".%06dZ", micros)
    }

    /// Changes the state with a closure.
    package func change(_ body: @Sendable (isolated SimulatedStackStorm) -> Void) { body(self) }

    package func setFault(_ fault: Fault?, for area: Fault.Area) { faults[area] = fault }

    package func refuseUnlimited() { refusesUnlimited = true }

    package func addAPIKey(_ key: String, for user: String) { apiKeys[key] = user }

    /// All tokens, including expired ones.
    package var goodTokens: [String] { Array(tokens.keys) }

    /// Revokes all tokens.
    package func revokeTokens() { tokens = [:] }

    /// Revokes all tokens of an account.
    package func revokeTokens(of user: String) { tokens = tokens.filter { $0.value.user != user } }

    package func expireTokens() { for token in tokens.keys { tokens[token]?.expiry = .distantPast } }

    /// Waits until ``cutStreams()`` or the end of the simulator.
    func hang() async {
        guard !isEnding else { return }
        await withCheckedContinuation { hanging.append($0) }
    }

    /// Returns a stream that sends nothing.
    func silence() -> AsyncStream<[UInt8]> {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        if isEnding { continuation.finish() } else { silent.append(continuation) }
        return stream
    }

    /// Ends all streams and hanging requests, including future ones.
    func end() {
        isEnding = true
        cutStreams()
    }

    /// Ends all open streams and hanging requests.
    package func cutStreams() {
        for continuation in hanging { continuation.resume() }
        hanging = []
        for continuation in silent { continuation.finish() }
        silent = []
        for subscriber in subscribers.values { subscriber.continuation.finish() }
        subscribers = [:]
    }

    /// Waits until a client reads the stream.
    package func untilHeard() async {
        guard subscribers.isEmpty else { return }
        await withCheckedContinuation { opened.append($0) }
    }

    /// Returns the user of the last request to a path, such as `GET /api/v1/user`.
    package func asker(of path: String) -> String? { askers[path] }

    /// Changes the runner of an action, as an update of its pack can.
    package func setRunner(_ runner: String, of action: String) { actions[action]?.runner = runner }

    /// Returns the last body that was sent to a path.
    package func body(of path: String) -> [UInt8] { bodies[path] ?? [] }

    /// Returns the number of requests to a path.
    package func request(count path: String) -> Int { requests[path] ?? 0 }

    /// Waits until a path was requested a number of times.
    package func untilRequested(_ path: String, times: Int) async {
        guard request(count: path) < times else { return }
        await withCheckedContinuation { expectations.append((path, times, $0)) }
    }

    /// Waits for the next request to a path.
    package func untilRequestedAgain(_ path: String) async {
        await untilRequested(path, times: request(count: path) + 1)
    }

    /// Waits until executions have ended and inquiries have begun more often than `count`, and returns how often that
    /// was.
    package func changes(after count: Int) async -> Int {
        if changes <= count { await withCheckedContinuation { changeWaiters.append($0) } }
        return changes
    }

    func noteChange() {
        changes += 1
        for waiter in changeWaiters { waiter.resume() }
        changeWaiters = []
    }

    func note(_ request: SimulatedRequest) {
        requests["\(request.method) \(request.path)", default: 0] += 1
        if !request.body.isEmpty { bodies["\(request.method) \(request.path)"] = Array(request.body) }
        let met = expectations.filter { self.request(count: $0.path) >= $0.times }
        expectations.removeAll { self.request(count: $0.path) >= $0.times }
        for expectation in met { expectation.waiter.resume() }
    }

    // MARK: Event stream

    func subscribe(_ filters: [String]) -> AsyncStream<[UInt8]> {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        if isEnding {
            continuation.finish()
            return stream
        }
        subscriptions += 1
        let id = subscriptions
        subscribers[id] = Subscriber(filters: filters, continuation: continuation)
        continuation.yield([10])
        for waiter in opened { waiter.resume() }
        opened = []
        continuation.onTermination = { _ in Task { await self.unsubscribe(id) } }
        return stream
    }

    private func unsubscribe(_ id: Int) { subscribers[id] = nil }

    /// Sends a newline to every stream, as StackStorm does after 25 s without an event.
    package func heartbeat() { sendRaw("\n") }

    package func sendRaw(_ text: String) {
        for subscriber in subscribers.values { subscriber.continuation.yield(Array(text.utf8)) }
    }

    package func publish(_ name: String, _ data: JSONValue) {
        let text =
            "event: \(name)\ndata: \((try? JSONValue.encode(data)).map { String(decoding: $0, as: UTF8.self) } ?? "")\n\n"
        for subscriber in subscribers.values where subscriber.filters.contains(where: { Self.matches(name, $0) }) {
            subscriber.continuation.yield(Array(text.utf8))
        }
    }

    private static func matches(_ name: String, _ filter: String) -> Bool {
        guard let star = filter.firstIndex(of: "*") else { return name == filter }
        return name.hasPrefix(filter[..<star]) && name.hasSuffix(filter[filter.index(after: star)...])
    }
}
