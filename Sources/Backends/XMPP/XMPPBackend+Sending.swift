import PetrelKit
import PetrelSupport
import XMLStream

extension XMPPBackend {
    /// Sends a message and waits for evidence of its delivery: until the room reflects it, or until an error from the
    /// recipient would have arrived.
    func send(_ message: XMLElement, to target: JID, isRoom: Bool) async throws {
        var message = message
        let id = message["id"] ?? ""
        // Marks a private message to an occupant of a room (XEP-0045, section 7.5).
        if !isRoom, target.resource != nil, rooms.isRoom(target) { message.append(XMLElement("x", XMPPNames.mucUser)) }
        let outcome = link.confirmations.await(id, from: target)
        defer { link.confirmations.forget(id) }
        try await link.send(message)
        guard isRoom else {
            try await link.waitForErrors(from: target, within: settings.patience)
            if case .returned(let problem)? = outcome.value { throw problem.failure(of: target, isRoom: false) }
            return
        }
        switch try await reflection(outcome, in: target) {
        case .delivered: return
        case .returned(let problem): throw problem.failure(of: target, isRoom: true)
        case .unknown: throw XMPPLink.stopping
        }
    }

    /// Waits until a room reflects a message or returns it with an error. While the connection is silent or interrupted,
    /// the message is in flight; only a new stream loses it.
    private func reflection(
        _ outcome: Promised<Confirmations.Outcome>, in room: JID
    ) async throws -> Confirmations.Outcome {
        let stream = link.stream
        while !Task.isCancelled {
            if let outcome = await outcome.wait(atMost: settings.patience) { return outcome }
            let isHeard = lastReceived.value.duration(to: .now) < settings.patience
            if link.stream != stream || isHeard && link.isOpen(for: settings.patience) { break }
        }
        throw SendFailure("the room \(room) did not reflect the message", .later(after: nil))
    }

    /// Returns the visit of the occupant with this nick, or nil if none exists.
    func visit(of nick: String, in room: JID) -> Int? { rooms.room(room)?.occupant(nick)?.visit }

    /// Returns the address for a private message: an account, or an occupant's current nick. Throws ``SendFailure`` if
    /// the occupant's visit has ended or is unknown, because the nick may belong to another person now.
    private func person(_ jid: JID, during visit: Int?) throws -> JID {
        guard jid.resource != nil, let room = rooms.room(jid) else { return jid }
        guard let visit else {
            throw SendFailure(
                "the private message to \(jid) was not sent, because the nick may belong to another person now: "
                    + "let the room show accounts", .never)
        }
        guard let nick = room.nick(during: visit) else {
            throw SendFailure("the private message was not sent, because \(jid) has left the room", .never)
        }
        return jid.with(nick)
    }

    func target(of reply: Reply, at address: Address) throws -> (JID, isRoom: Bool) {
        guard let jid = JID(address.place.id) else {
            throw SendFailure("\(address.place.id) is not a valid JID", .never)
        }
        guard case .room = address.place else { return (try person(jid, during: XMPPOccupantID.visit(jid)), false) }
        if reply.isPrivate || reply.isConfidential {
            guard let message = address.inReplyTo.flatMap({ XMPPMessageID($0) }) else {
                throw SendFailure("the recipient of the private message is unknown", .never)
            }
            return (try person(message.sender, during: message.visit), false)
        }
        switch rooms.room(jid)?.standing {
        case nil: throw SendFailure("the room \(jid) is not in the configuration", .never)
        case .barred(let reason)?: throw SendFailure("the room \(jid) \(reason)", .never)
        case .inside?: return (jid, true)
        case .outside?, .joining?: throw SendFailure("the bot is currently not in \(jid)", .later(after: nil))
        }
    }
}
