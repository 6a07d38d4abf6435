import NIOCore
import PetrelKit
import PetrelSupport

/// The clients that are connected now, and the rooms that they have joined.
final class UnixClients: Sendable {
    private struct Client {
        var channel: any Channel
        var rooms: Set<String> = []
    }

    private struct State {
        var connections = 0
        var clients: [String: Client] = [:]
    }

    private static let mostRooms = 50
    private let capacity: Int
    private let state = Locked(State())

    init(capacity: Int) { self.capacity = capacity }

    /// Counts a connection. Returns false if there are too many.
    func connected() -> Bool {
        state.withLock { state in
            guard state.connections < capacity else { return false }
            state.connections += 1
            return true
        }
    }

    /// Removes a connection, and the client whose connection it is.
    func disconnected(_ nick: String?, _ channel: any Channel) {
        state.withLock { state in
            state.connections -= 1
            if let nick, state.clients[nick]?.channel === channel { state.clients[nick] = nil }
        }
    }

    /// Registers a client. Returns the connection that had the nick before.
    func enter(_ nick: String, _ channel: any Channel) -> (any Channel)? {
        state.withLock { $0.clients.updateValue(Client(channel: channel), forKey: nick)?.channel }
    }

    /// Adds a client to a room. Returns false if it is in too many rooms.
    func join(_ nick: String, _ room: String) -> Bool {
        state.withLock { state in
            guard let rooms = state.clients[nick]?.rooms else { return true }
            guard rooms.count < Self.mostRooms || rooms.contains(room) else { return false }
            state.clients[nick]?.rooms.insert(room)
            return true
        }
    }

    /// Writes lines to everyone who is in a place. Returns false if nobody is.
    func write(_ lines: String, to place: Address.Place, except author: String? = nil) -> Bool {
        let channels = state.withLock { state in
            switch place {
            case .direct(let nick): [state.clients[nick]?.channel].compactMap(\.self)
            case .room(let room):
                state.clients.filter { $0.key != author && $0.value.rooms.contains(room) }.map(\.value.channel)
            }
        }
        for channel in channels { Self.write(lines, to: channel) }
        return !channels.isEmpty
    }

    /// Writes without waiting for the client. A client that does not read is disconnected.
    static func write(_ lines: String, to channel: any Channel) {
        guard channel.isWritable else { return channel.close(promise: nil) }
        channel.writeAndFlush(ByteBuffer(string: lines), promise: nil)
    }
}
