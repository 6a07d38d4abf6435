import Foundation
import PetrelKit
package import PetrelSupport
import StackStormClient

/// A StackStorm in memory, with the behaviour of the recordings. Knows nothing of sockets.
package actor SimulatedStackStorm {
    struct Subscriber {
        var filters: [String]
        var continuation: AsyncStream<[UInt8]>.Continuation
    }

    package struct User: Sendable {
        package var name: String
        package var password: String
        /// References of actions that this account may not run, as under RBAC.
        package var forbidden: Set<String>
        /// Under RBAC with no role at all: may do nothing but ask who it is.
        package var hasNoRole: Bool
        /// May ask for the tokens of others.
        package var isService = false
        /// By their origin, such as `slack`.
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
    /// Runs that wait for the answer to their inquiry.
    var asking: [String: AsyncStream<[String: JSONValue]>.Continuation] = [:]
    /// What expressions such as `st2kv.system.petrel_secret` find.
    package var datastore = ["petrel_secret": "TOP-SECRET-42"]
    var subscribers: [Int: Subscriber] = [:]
    var faults: [Fault.Area: Fault] = [:]
    /// How often each command line was started.
    package internal(set) var started: [String: Int] = [:]
    package private(set) var requests: [String: Int] = [:]
    var askers: [String: String] = [:]
    /// What was last sent to each path that was asked for.
    private var bodies: [String: [UInt8]] = [:]
    private var isEnding = false
    /// Seconds.
    private var clockError = 0.0
    /// How wrong the web server's clock is, in seconds.
    nonisolated let webClockError = Locked(0.0)
    private var silent: [AsyncStream<[UInt8]>.Continuation] = []
    private var hanging: [CheckedContinuation<Void, Never>] = []
    private var expectations: [(path: String, times: Int, waiter: CheckedContinuation<Void, Never>)] = []
    private var opened: [CheckedContinuation<Void, Never>] = []
    private var count = 0
    private var subscriptions = 0
    /// Whether the notify rule passes `source_context` on.
    package var passesContext = true
    /// Whether ends are announced at all: a broken result template keeps StackStorm from it.
    package var announces = true
    /// What stands in the place of a text in every answer of the API, as Python may write what is no JSON.
    package var garble: (text: String, replacement: String)?
    /// A slow StackStorm: results are posted with ``postDelayed()``.
    package var delaysResults = false
    var delayed: [(parent: String, payload: [String: JSONValue], route: String)] = []
    /// No account may read actions, as under RBAC.
    package var hidesActions = false
    /// `limit=-1` is for administrators only, as under RBAC.
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

    /// 24 hexadecimal digits, as MongoDB makes them: rising, and never twice.
    func newID() -> String {
        count += 1
        return String(
            format: "%08x%08x%08x", Int(Date.now.timeIntervalSince1970), UInt32(truncatingIfNeeded: Self.instance),
            count)
    }

    /// Its clock, by which executions begin and end, is wrong from now on.
    /// - Parameter ofWeb: the web server's too, which dates its answers.
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

    /// Changes what has no function of its own.
    package func change(_ body: @Sendable (isolated SimulatedStackStorm) -> Void) { body(self) }

    package func setFault(_ fault: Fault?, for area: Fault.Area) { faults[area] = fault }

    package func refuseUnlimited() { refusesUnlimited = true }

    package func addAPIKey(_ key: String, for user: String) { apiKeys[key] = user }

    /// Every token that is good.
    package var goodTokens: [String] { Array(tokens.keys) }

    /// Every token is worthless from now on.
    package func revokeTokens() { tokens = [:] }

    /// Every token of one account is worthless from now on.
    package func revokeTokens(of user: String) { tokens = tokens.filter { $0.value.user != user } }

    package func expireTokens() { for token in tokens.keys { tokens[token]?.expiry = .distantPast } }

    /// Suspends until the streams are cut or the simulator ends.
    func hang() async {
        guard !isEnding else { return }
        await withCheckedContinuation { hanging.append($0) }
    }

    /// A stream that never says anything.
    func silence() -> AsyncStream<[UInt8]> {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        if isEnding { continuation.finish() } else { silent.append(continuation) }
        return stream
    }

    /// Lets go of everybody who waits, for good.
    func end() {
        isEnding = true
        cutStreams()
    }

    package func cutStreams() {
        for continuation in hanging { continuation.resume() }
        hanging = []
        for continuation in silent { continuation.finish() }
        silent = []
        for subscriber in subscribers.values { subscriber.continuation.finish() }
        subscribers = [:]
    }

    /// Returns once somebody listens to the stream.
    package func untilHeard() async {
        guard subscribers.isEmpty else { return }
        await withCheckedContinuation { opened.append($0) }
    }

    /// Whose credential the last request to a path came with.
    package func asker(of path: String) -> String? { askers[path] }

    /// As an update of a pack may change an action.
    package func setRunner(_ runner: String, of action: String) { actions[action]?.runner = runner }

    /// The bytes that were last sent to a path.
    package func body(of path: String) -> [UInt8] { bodies[path] ?? [] }

    package func request(count path: String) -> Int { requests[path] ?? 0 }

    /// Returns once a path was asked for so many times.
    package func untilRequested(_ path: String, times: Int) async {
        guard request(count: path) < times else { return }
        await withCheckedContinuation { expectations.append((path, times, $0)) }
    }

    /// Returns once a path is asked for the next time.
    package func untilRequestedAgain(_ path: String) async {
        await untilRequested(path, times: request(count: path) + 1)
    }

    func note(_ request: SimulatedRequest) {
        requests["\(request.method) \(request.path)", default: 0] += 1
        if !request.body.isEmpty { bodies["\(request.method) \(request.path)"] = Array(request.body) }
        let met = expectations.filter { self.request(count: $0.path) >= $0.times }
        expectations.removeAll { self.request(count: $0.path) >= $0.times }
        for expectation in met { expectation.waiter.resume() }
    }

    // MARK: The stream

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

    /// A newline to every stream, as StackStorm sends after 25 s without an event.
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
