import Logging
import PetrelKit
import PetrelSupport
import XMLStream

/// Joins the configured rooms, rejoins them when the bot is removed, and tracks their state.
final class XMPPRooms: Sendable {
    private struct State {
        var rooms: [JID: XMPPRoom]
        /// The scheduled joins, which are cancelled when the connection is lost.
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

    /// Returns true if the JID is that of a configured room or of one of its occupants.
    func isRoom(_ jid: JID) -> Bool { state.withLock { $0.rooms[jid.bare] != nil } }

    /// Returns the configured room with this JID, or nil. Ignores the resource.
    func room(_ jid: JID) -> XMPPRoom? { state.withLock { $0.rooms[jid.bare] } }

    /// The problems of all rooms, one line per room, sorted.
    var troubles: [String] {
        state.withLock { state in
            state.rooms.values.compactMap { room in
                switch room.standing {
                case .inside: nil
                case .joining: room.isUnresponsive ? "\(room.jid) does not respond" : nil
                case .outside: "currently not in \(room.jid)"
                case .barred(let reason): "\(room.jid) \(reason)"
                }
            }
        }.sorted()
    }

    /// Joins all rooms that the bot is not in.
    func joinAll() {
        let jids = state.withLock { Array($0.rooms.keys) }
        for jid in jids.sorted(by: { $0.description < $1.description }) { join(jid) }
    }

    /// Resets all rooms when a stream ends without a resumption, which ends the bot's presence in them.
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
        // Scheduled before the presence is sent: the room's response may schedule another task.
        after(joining, in: jid) { rooms in rooms.joinTimedOut(jid) }
        do {
            try link.post(presence)
        } catch {
            state.withLock { $0.rooms[jid]?.leave() }
            logger.debug("Not connected. The bot joins \(jid) after it reconnects.")
        }
    }

    private func joinTimedOut(_ jid: JID) {
        guard state.withLock({ $0.rooms[jid]?.markUnanswered() }) == true else { return }
        logger.warning("The room \(jid) does not respond. The bot tries to join again.")
        join(jid)
    }

    /// Rejoins a room that no longer lists the bot as an occupant.
    func markOutside(_ jid: JID) {
        guard state.withLock({ $0.rooms[jid.bare]?.markOutside() }) == true else { return }
        joinLater(jid.bare, "the room does not list it as an occupant")
    }

    /// Processes a presence from a configured room.
    func take(_ presence: XMLElement, from: JID) {
        let jid = from.bare
        guard let action = state.withLock({ $0.rooms[jid]?.take(presence, from: from.resource) }) else { return }
        switch action {
        case .nothing: break
        case .joined:
            logger.info("The bot joined \(jid).")
            inquire(jid)
            reclaim(jid)
        case .reclaim: reclaim(jid)
        case .join: join(jid)
        case .tell(let text): logger.error("\(text)")
        case .joinLater(let reason): joinLater(jid, reason)
        case .unlock: unlock(jid)
        }
    }

    /// Processes a message of a configured room itself.
    func take(notice message: XMLElement, from: JID) {
        if XMPPRoom.isChange(message) { inquire(from.bare) }
    }

    /// Asks a room whether everyone may see and enter it.
    private func inquire(_ jid: JID) {
        guard let inquiry = state.withLock({ $0.rooms[jid]?.inquire() }) else { return }
        Task { [weak self, link, logger] in
            do {
                let info = try await link.ask(jid, "get", XMLElement("query", XMPPNames.info))
                self?.state.withLock { $0.rooms[jid]?.learn(info, inquiry) }
            } catch {
                logger.debug("The features of \(jid) are unknown, so it counts as private: \(error).")
            }
        }
    }

    /// Requests the configured nick if it was in use when the bot joined.
    private func reclaim(_ jid: JID) {
        guard let presence = state.withLock({ $0.rooms[jid]?.reclaim() }) else { return }
        do {
            try link.post(presence)
        } catch {
            logger.debug("Not connected. The bot joins \(jid) with the configured nick after it reconnects.")
        }
    }

    private func joinLater(_ jid: JID, _ reason: String) {
        logger.warning("The bot is not in \(jid): \(reason). It joins again shortly.")
        after(pause, in: jid) { rooms in rooms.join(jid) }
    }

    /// Schedules an action for a room, replacing the one that is scheduled.
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

    /// Verifies with a self-ping that the bot is still in each room (XEP-0410): a service that restarts does not notify
    /// its occupants. Throws only `CancellationError`.
    func verify() async throws {
        let inside = state.withLock { $0.rooms.values.filter { $0.standing == .inside } }
        for room in inside {
            do {
                let own = room.jid.with(room.nick)
                _ = try await link.ask(own, "get", XMLElement("ping", XMPPNames.ping), within: patience)
                // After the ping, which is addressed to the current nick.
                reclaim(room.jid)
            } catch let error as StanzaError where error.isOutside {
                markOutside(room.jid)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                // Other errors do not mean that the bot is outside (XEP-0410).
                logger.debug("Cannot verify that the bot is in \(room.jid): \(error).")
            }
        }
    }

    /// Unlocks a new room with the service's default configuration (XEP-0045, section 10.1.2).
    private func unlock(_ jid: JID) {
        logger.notice("The bot created the room \(jid) with the service's default configuration.")
        Task { [weak self, link, logger] in
            do {
                let form = XMLElement("x", XMPPNames.data, ["type": "submit"])
                _ = try await link.ask(jid, "set", XMLElement("query", XMPPNames.mucOwner, [:], [form]))
                self?.inquire(jid)
            } catch {
                logger.warning("Cannot unlock the room \(jid): \(error).")
            }
        }
    }
}
