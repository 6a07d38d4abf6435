import DequeModule
package import PetrelSupport

/// One side of a JSON-RPC connection: sends requests and matches the responses to them. It does no I/O: its user writes
/// what ``taken()`` returns, and passes the lines that were read to ``receive(_:)``.
package final class RPCPeer: Sendable {
    /// The effect of a received line.
    package enum Event: Sendable, Equatable {
        /// A request that has to be answered with ``respond(to:_:)``.
        case request(RPCMessage.ID, method: String, params: JSONValue)
        /// A notification.
        case notification(method: String, params: JSONValue)
        /// A response to this request, which ``settle(_:_:)`` passes to the caller.
        case response(Int, Result<JSONValue, RPCError>)
        /// The line is not a message, or a response to no request.
        case fault(String)
    }

    /// The error of a call that was not answered.
    package enum Failure: Error, Sendable, Equatable {
        /// The connection ended before the response.
        case closed(String)
        /// The connection had ended before the request was sent.
        case unavailable(String)
        /// The other side did not answer in time.
        case late(Duration)
        /// The other side does not read what is sent to it.
        case blocked
    }

    private struct Call: Sendable {
        var continuation: CheckedContinuation<JSONValue, any Error>
        var limit: Duration
        var deadline: ContinuousClock.Instant
    }

    private struct State: Sendable {
        var calls: [Int: Call] = [:]
        var last = 0
        var outgoing: Deque<[UInt8]> = []
        var bytes = 0
        var reason: String?
    }

    /// The maximum number of bytes that wait for the other side to read them.
    package static let capacity = 8 << 20

    private let state = Locked(State())
    private let woken = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    package init() {}

    /// Sends a request and returns its result.
    ///
    /// Throws ``RPCError`` for the error of a response, ``Failure``, or `CancellationError`.
    /// - Parameters:
    ///   - limit: The time in which the other side has to answer.
    ///   - begun: A closure that is called with the number of the request before it is sent.
    package func call(
        _ method: String, _ params: JSONValue, within limit: Duration,
        begun: @Sendable (Int) -> Void = { _ in }
    ) async throws -> JSONValue {
        let number = state.withLock { state in
            state.last += 1
            return state.last
        }
        begun(number)
        let line = try RPCMessage.request(.number(number), method: method, params: params).line()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let call = Call(continuation: continuation, limit: limit, deadline: .now + limit)
                let failure = state.withLock { state -> (any Error)? in
                    if let reason = state.reason { return Failure.unavailable(reason) }
                    if Task.isCancelled { return CancellationError() }
                    guard state.bytes + line.count <= Self.capacity else { return Failure.blocked }
                    state.calls[number] = call
                    state.outgoing.append(line)
                    state.bytes += line.count
                    return nil
                }
                if let failure { continuation.resume(throwing: failure) } else { woken.continuation.yield() }
            }
        } onCancel: {
            finish(number, .failure(CancellationError()))
        }
    }

    /// Sends a notification, unless the other side does not read.
    package func notify(_ method: String, _ params: JSONValue) { offer(.notification(method: method, params: params)) }

    /// Answers a request of the other side.
    package func respond(to id: RPCMessage.ID, _ result: Result<JSONValue, RPCError>) { offer(.response(id, result)) }

    private func offer(_ message: RPCMessage) {
        guard let line = try? message.line() else { return }
        let isQueued = state.withLock { state in
            guard state.reason == nil, state.bytes + line.count <= Self.capacity else { return false }
            state.outgoing.append(line)
            state.bytes += line.count
            return true
        }
        if isQueued { woken.continuation.yield() }
    }

    /// Parses a line that was received.
    package func receive(_ line: some Collection<UInt8>) -> Event {
        let message: RPCMessage
        do { message = try RPCMessage(line) } catch { return .fault(error.message) }
        switch message {
        case .request(let id, let method, let params): return .request(id, method: method, params: params)
        case .notification(let method, let params): return .notification(method: method, params: params)
        case .response(let id, let result):
            guard case .number(let number)? = id, number > 0, state.withLock({ number <= $0.last }) else {
                return .fault("a response has an id that no request has")
            }
            return .response(number, result)
        }
    }

    /// Passes a response to its caller. A response to a call that was given up has no effect.
    package func settle(_ number: Int, _ result: Result<JSONValue, RPCError>) {
        finish(number, result.mapError { $0 })
    }

    private func finish(_ number: Int, _ result: Result<JSONValue, any Error>) {
        state.withLock { $0.calls.removeValue(forKey: number) }?.continuation.resume(with: result)
    }

    /// Fails the calls whose time is over.
    package func expire(at now: ContinuousClock.Instant = .now) {
        let late = state.withLock { state in
            let numbers = state.calls.filter { $0.value.deadline <= now }.map(\.key)
            return numbers.compactMap { state.calls.removeValue(forKey: $0) }
        }
        for call in late { call.continuation.resume(throwing: Failure.late(call.limit)) }
    }

    /// Ends the connection: fails all calls, and those that follow.
    package func close(_ reason: String) {
        let calls = state.withLock { state in
            state.reason = state.reason ?? reason
            state.outgoing = []
            state.bytes = 0
            defer { state.calls = [:] }
            return state.calls.values
        }
        for call in calls { call.continuation.resume(throwing: Failure.closed(reason)) }
        woken.continuation.finish()
    }

    /// Waits until there is something to write, and returns it; nil after ``close(_:)``. Only one task may call it.
    package func taken() async -> [UInt8]? {
        for await _ in woken.stream {
            let bytes = state.withLock { state in
                defer {
                    state.outgoing = []
                    state.bytes = 0
                }
                return Array(state.outgoing.joined())
            }
            if !bytes.isEmpty { return bytes }
        }
        return nil
    }
}
