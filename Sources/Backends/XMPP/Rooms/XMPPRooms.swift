import Logging
import PetrelKit

/// The rooms that the bot is in, or should be: joins them, and joins again.
actor XMPPRooms {
    private let link: XMPPLink
    private let logger: Logger
    private let pause: Duration
    private var rooms: [JID: XMPPRoom]
    /// Joins that wait, so that they end with the connection.
    private var waiting: [JID: Task<Void, Never>] = [:]

    init(_ settings: XMPPSettings, _ link: XMPPLink, _ logger: Logger) {
        self.link = link
        self.logger = logger
        pause = settings.rejoining
        rooms = Dictionary(
            settings.rooms.map { ($0.jid, XMPPRoom($0.jid, nick: settings.nick, password: $0.password)) }
        ) { first, _ in first }
    }

    func isRoom(_ jid: JID) -> Bool { rooms[jid.bare] != nil }

    func room(_ jid: JID) -> XMPPRoom? { rooms[jid.bare] }

    /// What is not as it should be.
    var troubles: [String] {
        rooms.values.compactMap { room in
            switch room.standing {
            case .inside, .joining: nil
            case .outside: "not in \(room.jid) at the moment"
            case .barred(let reason): "\(room.jid) \(reason)"
            }
        }.sorted()
    }

    func joinAll() {
        for jid in rooms.keys.sorted(by: { $0.description < $1.description }) { join(jid) }
    }

    /// The stream is gone, and with it the bot's place in its rooms.
    func leaveAll() {
        for (jid, task) in waiting {
            task.cancel()
            waiting[jid] = nil
        }
        for jid in rooms.keys { rooms[jid]?.leave() }
    }

    private func join(_ jid: JID) {
        guard let presence = rooms[jid]?.join() else { return }
        // Without a connection it is joined when there is one.
        try? link.post(presence)
    }

    /// A presence of a room that is one of ours.
    func take(_ presence: XMLElement, from: JID) {
        let jid = from.bare
        guard let action = rooms[jid]?.take(presence, from: from.resource) else { return }
        switch action {
        case .nothing: break
        case .joined: logger.info("The bot is in \(jid).")
        case .join: join(jid)
        case .tell(let text): logger.error("\(text)")
        case .joinLater(let reason):
            logger.warning("The bot is not in \(jid) any more: \(reason). It joins again in a moment.")
            waiting[jid]?.cancel()
            waiting[jid] = Task { [pause] in
                guard (try? await Task.sleep(for: pause)) != nil else { return }
                self.join(jid)
            }
        case .unlock:
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
}
