import Foundation
import Logging
import NIOCore
import NIOPosix
import PetrelKit
import PetrelSupport

/// A chat over a Unix-domain socket, which the backend creates.
///
/// The first line of a client is its nick. After that, `#room text` speaks in a room, `#room` only joins it, and any
/// other line is direct to the bot.
package struct UnixBackend: ChatBackend {
    package let name: String
    package let traits = BackendTraits(maximumLength: 4000)
    private let settings: UnixSettings
    private let context: BackendContext
    private let clients: UnixClients

    package init(name: String, settings: UnixSettings, context: BackendContext) {
        self.name = name
        self.settings = settings
        self.context = context
        clients = UnixClients(capacity: settings.clients)
    }

    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        let server = try await UnixSocket(path: settings.socket, loop: context.loop.eventLoop).listen()
        defer { unlink(settings.socket) }
        context.logger.info("listening at \(settings.socket)")
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    group.addTask { await serve(connection, deliver) }
                }
                group.cancelAll()
            }
        }
        throw BackendFailure("the socket \(settings.socket) was closed")
    }

    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let lines = reply.text.textLines.map { "\(address.place.prefix)\($0)\n" }.joined()
        guard clients.write(lines, to: address.place) else {
            throw SendFailure("nobody is connected at \(address.place.id)", .later(after: nil))
        }
        return nil
    }

    private func serve(
        _ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ deliver: @Sendable (ChatMessage) async -> Void
    ) async {
        let channel = connection.channel
        do {
            try await connection.executeThenClose { inbound, _ in
                guard clients.connected() else { return UnixClients.write("too many clients\n", to: channel) }
                var nick: String?
                defer { clients.disconnected(nick, channel) }
                var session = UnixSession()
                for try await bytes in inbound {
                    for action in session.feed(bytes.readableBytesView) {
                        let complaint = await perform(action, as: &nick, on: channel, deliver)
                        if let complaint { return UnixClients.write("\(complaint)\n", to: channel) }
                    }
                }
            }
        } catch {
            context.logger.debug("a client was disconnected: \(error)")
        }
    }

    /// Performs an action. Returns the reason to close the connection, if there is one.
    private func perform(
        _ action: UnixSession.Action, as nick: inout String?, on channel: any Channel,
        _ deliver: @Sendable (ChatMessage) async -> Void
    ) async -> String? {
        switch (action, nick) {
        case (.enter(let name), _):
            nick = "@\(name)"
            UnixClients.write("welcome, \(name)\n", to: channel)
            if let earlier = clients.enter("@\(name)", channel) {
                UnixClients.write("\(name) has connected again\n", to: earlier)
                earlier.close(promise: nil)
            }
        case (.join(let room), let nick?):
            guard clients.join(nick, room) else { return "you are in too many rooms" }
            _ = clients.write("\(room) \(nick) has joined\n", to: .room(room))
        case (.say(let text, let room), let nick?):
            if let room {
                guard clients.join(nick, room) else { return "you are in too many rooms" }
                _ = clients.write("\(room) \(nick): \(text)\n", to: .room(room), except: nick)
            }
            await deliver(message(text, from: nick, in: room))
        case (.close(let reason), _): return reason
        case (.join, nil), (.say, nil): return "the first line must be a nick"
        }
        return nil
    }

    private func message(_ text: String, from nick: String, in room: String?) -> ChatMessage {
        ChatMessage(
            id: UUID.timeOrdered().uuidString, sender: Person(id: nick, name: nick, isStable: false),
            room: room.map { Room(id: $0, name: $0) }, text: text)
    }
}

extension Address.Place {
    /// The beginning of each line that is sent to the place.
    fileprivate var prefix: String { isDirect ? "" : "\(id) " }
}
