import Logging
import PetrelKit
import PetrelSupport

/// The rooms that the bot is in, or should be: joins them, and joins again.
final class XMPPRooms: Sendable {
    private struct State {
        var rooms: [JID: XMPPRoom]
        /// Joins that wait, so that they end with the connection.
        var waiting: [JID: Task<Void, Never>] = [:]
    }

    private let link: XMPPLink
    private let logger: Logger
    private let pause: Duration
    private let joining: Duration
    private let patience: Duration
    private let state: Locked<State>

    init(_ settings: XMPPSettings, _ link: XMPPLink, _ logger: Logger) {
        self.link = link
        self.logger = logger
        pause = settings.rejoining
        joining = settings.joining
        patience = settings.patience
        let rooms = settings.rooms.map { room in
            (
                room.jid,
                XMPPRoom(
                    room.jid, nick: settings.nick, password: room.password, isTrusted: settings.trusts(room.jid))
            )
        }
        state = Locked(State(rooms: Dictionary(rooms) { first, _ in first }))
    }

    func isRoom(_ jid: JID) -> Bool { state.withLock { $0.rooms[jid.bare] != nil } }

    func room(_ jid: JID) -> XMPPRoom? { state.withLock { $0.rooms[jid.bare] } }

    /// What is not as it should be, one line for each.
    var troubles: [String] {
        state.withLock { state in
            state.rooms.values.compactMap { room in
                switch room.standing {
                case .inside: nil
                case .joining: room.isUnanswering ? "\(room.jid) does not answer" : nil
                case .outside: "not in \(room.jid) at the moment"
                case .barred(let reason): "\(room.jid) \(reason)"
                }
            }
        }.sorted()
    }

    /// Those that the bot is not in.
    func joinAll() {
        let jids = state.withLock { Array($0.rooms.keys) }
        for jid in jids.sorted(by: { $0.description < $1.description }) { join(jid) }
    }

    /// The stream is gone, and with it the bot's place in its rooms.
    func leaveAll() {
        let waiting = state.withLock { state in
            for jid in state.rooms.keys { state.rooms[jid]?.leave() }
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for task in waiting { task.cancel() }
    }

    private func join(_ jid: JID) {
        guard let presence = state.withLock({ $0.rooms[jid]?.join() }) else { return }
        // First: what the room answers may have to wait for something else.
        after(joining, in: jid) { rooms in rooms.unanswered(jid) }
        do {
            try link.post(presence)
        } catch {
            state.withLock { $0.rooms[jid]?.leave() }
            logger.debug("There is no connection: \(jid) is joined when there is one.")
        }
    }

    private func unanswered(_ jid: JID) {
        guard state.withLock({ $0.rooms[jid]?.isUnanswered() }) == true else { return }
        logger.warning("The room \(jid) does not answer. The bot tries again.")
        join(jid)
    }

    /// A room does not know the bot, which believed to be in it.
    func isOutside(_ jid: JID) {
        guard state.withLock({ $0.rooms[jid.bare]?.isPutOut() }) == true else { return }
        joinLater(jid.bare, "the room does not know it")
    }

    /// A presence of a room that is one of ours.
    func take(_ presence: XMLElement, from: JID) {
        let jid = from.bare
        guard let action = state.withLock({ $0.rooms[jid]?.take(presence, from: from.resource) }) else { return }
        switch action {
        case .nothing: break
        case .joined:
            logger.info("The bot is in \(jid).")
            reclaim(jid)
        case .reclaim: reclaim(jid)
        case .join: join(jid)
        case .tell(let text): logger.error("\(text)")
        case .joinLater(let reason): joinLater(jid, reason)
        case .unlock: unlock(jid)
        }
    }

    /// Asks for the configured nick where somebody else had it when the bot came in.
    private func reclaim(_ jid: JID) {
        guard let presence = state.withLock({ $0.rooms[jid]?.reclaim() }) else { return }
        do {
            try link.post(presence)
        } catch {
            logger.debug("There is no connection: \(jid) is joined under the configured nick when there is one.")
        }
    }

    private func joinLater(_ jid: JID, _ reason: String) {
        logger.warning("The bot is not in \(jid) any more: \(reason). It joins again in a moment.")
        after(pause, in: jid) { rooms in rooms.join(jid) }
    }

    /// What waits for a room replaces what waited for it before.
    private func after(_ pause: Duration, in jid: JID, _ action: @escaping @Sendable (XMPPRooms) -> Void) {
        let waiting = Task { [weak self] in
            guard (try? await Task.sleep(for: pause)) != nil, let self else { return }
            action(self)
        }
        let earlier = state.withLock { state in
            defer { state.waiting[jid] = waiting }
            return state.waiting[jid]
        }
        earlier?.cancel()
    }

    /// Asks each room whether the bot is still in it (XEP-0410): one that restarts on its own tells nobody. Throws
    /// `CancellationError` and nothing else.
    func verify() async throws {
        let inside = state.withLock { $0.rooms.values.filter { $0.standing == .inside } }
        for room in inside {
            do {
                let own = room.jid.with(room.nick)
                _ = try await link.ask(own, "get", XMLElement("ping", XMPPNames.ping), within: patience)
                // Behind the question, which goes by the nick at hand.
                reclaim(room.jid)
            } catch let error as StanzaError where error.isOutside {
                isOutside(room.jid)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                // It is there, or nobody knows.
                logger.debug("Whether the bot is in \(room.jid) is not known: \(error)")
            }
        }
    }

    /// Takes the settings that the server suggests (XEP-0045, section 10.1.2).
    private func unlock(_ jid: JID) {
        logger.notice("The room \(jid) is new: the bot has made it, with the settings that the server suggests.")
        Task { [link, logger] in
            do {
                let form = XMLElement("x", XMPPNames.data, ["type": "submit"])
                _ = try await link.ask(jid, "set", XMLElement("query", XMPPNames.mucOwner, [:], [form]))
            } catch {
                logger.warning("The room \(jid) could not be opened for others: \(error)")
            }
        }
    }
}
