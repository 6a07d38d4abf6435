import NIOCore
import PetrelKit
import PetrelSupport

/// The open connections of the web server. If there are too many, the one that has been waiting longest is closed.
final class Connections: Sendable {
    private struct State {
        var book: ConnectionBook
        var channels: [Int: any Channel] = [:]
        var last = 0
    }

    private let state: Locked<State>
    private let proxies: TrustedProxies?

    init(_ limits: WebLimits, proxies: TrustedProxies?) {
        state = Locked(State(book: ConnectionBook(limits)))
        self.proxies = proxies
    }

    /// Registers a connection. Returns its number, or nil if it must be closed.
    func open(_ channel: any Channel) -> Int? {
        let peer = channel.remoteAddress?.ipAddress ?? ""
        let address = proxies?.contains(peer) == true ? nil : IPNetwork.key(of: peer)
        let now = ContinuousClock.now
        let (number, other) = state.withLock { state -> (Int?, (any Channel)?) in
            let number = state.last + 1
            var other: (any Channel)?
            switch state.book.open(number, from: address, at: now) {
            case .refused: return (nil, nil)
            case .instead(let given): other = state.channels.removeValue(forKey: given)
            case .admitted: break
            }
            state.last = number
            state.channels[number] = channel
            return (number, other)
        }
        // Not under the lock, because closing a channel may call this object again.
        other?.close(promise: nil)
        return number
    }

    func close(_ number: Int) {
        state.withLock { state in
            state.book.close(number)
            state.channels[number] = nil
        }
    }

    func note(_ number: Int, isWaiting: Bool) {
        let now = ContinuousClock.now
        state.withLock { $0.book.note(number, isWaiting: isWaiting, at: now) }
    }
}
