import DequeModule
import PetrelSupport

/// Answers the requests of a plug-in one after the other. It is bounded: further requests are rejected at once.
final class RequestQueue: Sendable {
    private enum Item: Sendable {
        case request(RPCMessage.ID, method: String, params: JSONValue)
        /// A response that must not overtake the requests before it.
        case response(Int, Result<JSONValue, RPCError>)
    }

    private struct State: Sendable {
        var items: Deque<Item> = []
        /// True while an item is being processed.
        var isBusy = false
    }

    private let peer: RPCPeer
    private let limit: Int
    private let keepsOrder: Bool
    private let answer: PlugInProcess.Answer
    private let state = Locked(State())
    /// Opens when requests may be answered.
    private let isReady = Signal()
    private let woken = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(_ peer: RPCPeer, limit: Int, keepsOrder: Bool, answer: @escaping PlugInProcess.Answer) {
        self.peer = peer
        self.limit = limit
        self.keepsOrder = keepsOrder
        self.answer = answer
    }

    /// Adds a request, or rejects it if too many are pending.
    func add(_ id: RPCMessage.ID, _ method: String, _ params: JSONValue) {
        let isAdded = state.withLock { state in
            guard state.items.count < limit else { return false }
            state.items.append(.request(id, method: method, params: params))
            return true
        }
        guard isAdded else {
            return peer.respond(
                to: id, .failure(RPCError(RPCError.busy, "\(limit) requests are pending; wait for their responses")))
        }
        woken.continuation.yield()
    }

    /// Passes a response to its caller: at once, or after the requests that came before it.
    func settle(_ number: Int, _ result: Result<JSONValue, RPCError>) {
        let isQueued = state.withLock { state in
            guard keepsOrder, state.isBusy || !state.items.isEmpty else { return false }
            state.items.append(.response(number, result))
            return true
        }
        if isQueued { woken.continuation.yield() } else { peer.settle(number, result) }
    }

    /// Begins to answer requests.
    func start() { isReady.open() }

    /// Answers requests from ``start()`` until ``close()``. The requests that are pending then are not answered.
    func run() async {
        await isReady.wait()
        for await _ in woken.stream {
            while let item = next() {
                switch item {
                case .response(let number, let result): peer.settle(number, result)
                case .request(let id, let method, let params):
                    peer.respond(to: id, await outcome(of: method, params))
                }
            }
        }
    }

    func close() {
        state.withLock { $0.items = [] }
        isReady.open()
        woken.continuation.finish()
    }

    private func next() -> Item? {
        state.withLock { state in
            let item = state.items.popFirst()
            state.isBusy = item != nil
            return item
        }
    }

    private func outcome(of method: String, _ params: JSONValue) async -> Result<JSONValue, RPCError> {
        do {
            return .success(try await answer(method, params))
        } catch let error as RPCError {
            return .failure(error)
        } catch {
            return .failure(RPCError(-32603, "\(error)"))
        }
    }
}
