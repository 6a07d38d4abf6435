import FaultSuite
import NIOCore
import NIOSSL
import PetrelKit
import PetrelSupport
import PetrelTesting

@testable import IRCBackend

/// The clients' view of the bot.
final class IRCView: Sendable {
    /// The messages of the bot.
    let shown = Mailbox<ConformanceShown>()

    private struct State {
        /// The current nick of the bot.
        var bot: String
        var rooms: Set<String> = []
        var id: @Sendable (String) -> String = { "@\($0)" }
    }

    private let user: String
    private let state: Locked<State>

    private let changes: Changes

    init(bot: String, _ changes: Changes) {
        user = bot
        self.changes = changes
        state = Locked(State(bot: bot))
    }

    /// The current nick of the bot.
    var bot: String { state.withLock { $0.bot } }

    /// The channels that the bot is in.
    var rooms: Set<String> { state.withLock { $0.rooms } }

    /// Sets the closure that returns the ID of the person with a nick.
    func identify(_ id: @escaping @Sendable (String) -> String) { state.withLock { $0.id = id } }

    /// Processes a message that a person receives. Returns true if it is about the bot.
    /// - Parameter rooms: the channels whose messages are taken from this person and not from another one.
    func take(_ message: IRCMessage, from rooms: [String]) -> Bool {
        // The nick of the bot changes if the server has not yet noticed the end of its last connection.
        guard let source = message.source, source.user.map({ $0 == user || $0 == "~\(user)" }) == true else {
            return false
        }
        guard message.command == "PRIVMSG" else {
            if !rooms.isEmpty {
                state.withLock { Self.note(message, source.nick, &$0) }
                changes.note()
            }
            return true
        }
        guard let target = message[0], let text = message[1] else { return true }
        if !target.hasPrefix("#") {
            let id = state.withLock { $0.id }(target)
            shown.put(ConformanceShown(text, at: .direct(id)))
        } else if rooms.contains(target) {
            shown.put(ConformanceShown(text, at: .room(target)))
        }
        return true
    }

    private static func note(_ message: IRCMessage, _ nick: String, _ state: inout State) {
        switch message.command {
        case "JOIN":
            state.bot = nick
            if let room = message[0] { state.rooms.insert(room) }
        case "NICK": state.bot = message[0] ?? nick
        case "PART": if let room = message[0] { state.rooms.remove(room) }
        case "QUIT": state.rooms = []
        default: break
        }
    }
}

/// The end of the bot's TLS in the relay. It can reject a message of the bot as a server does.
final class IRCGate: Sendable {
    private let refusal = Locked<SendFailure.Remedy?>(nil)

    /// Makes the server reject the next message.
    func refuse(_ remedy: SendFailure.Remedy) { refusal.withLock { $0 = remedy } }

    /// Adds the handlers to the channel of a client.
    func configure(_ channel: any Channel, _ certificate: SelfSigned) throws {
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificate.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: certificate.key, format: .pem)))
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(NIOSSLServerHandler(context: NIOSSLContext(configuration: configuration)))
        try pipeline.addHandler(LineHandler(self))
    }

    /// Returns the rejection of a line; nil if it is relayed.
    fileprivate func answer(_ line: ByteBuffer) -> String? {
        guard let message = IRCMessage(line: line.readableBytesView), message.command == "PRIVMSG",
            let target = message[0],
            let remedy = refusal.withLock({ refusal in
                defer { refusal = nil }
                return refusal
            })
        else { return nil }
        return remedy == .never
            ? ":irc.localhost 403 petrel \(target) :No such channel\r\n"
            : ":irc.localhost 404 petrel \(target) :Cannot send to channel\r\n"
    }

    private final class LineHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias InboundOut = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let gate: IRCGate
        private var rest = ByteBuffer()

        init(_ gate: IRCGate) { self.gate = gate }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            rest.writeImmutableBuffer(unwrapInboundIn(data))
            while let end = rest.readableBytesView.firstIndex(of: 0x0A),
                let line = rest.readSlice(length: end - rest.readerIndex + 1)
            {
                let content = line.getSlice(at: line.readerIndex, length: line.readableBytes - 2) ?? line
                if let answer = gate.answer(content) {
                    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
                } else {
                    context.fireChannelRead(wrapInboundOut(line))
                }
            }
            rest.discardReadBytes()
        }
    }
}
