import PetrelKit

/// The people and the places that may run a command.
struct CommandRights: Sendable {
    /// The people who may run a command.
    enum People: String, Sendable, CaseIterable {
        /// Nobody.
        case none
        /// Everyone.
        case any
        /// The members of the allowed groups.
        case group
    }

    /// The places where a command may be run.
    enum Places: String, Sendable, CaseIterable {
        /// Everywhere.
        case any
        /// Direct chats.
        case directOnly = "im_only"
        /// The allowed rooms; any room if none is listed.
        case channel
    }

    /// The people.
    var people = People.none
    /// The names of the allowed groups.
    var groups: [String] = []
    /// The members of the allowed groups.
    var members: Set<String> = []
    /// The places.
    var places = Places.any
    /// The allowed rooms, by id or by name, with or without `#`.
    var rooms: [String] = []

    /// Returns the reason for which nobody may run a command, as a clause; nil if some may.
    var emptiness: String? {
        switch people {
        case .none: "auth_strategy is none"
        case .group where members.isEmpty: "the allowed_groups have no members"
        case .group, .any: nil
        }
    }

    /// Returns the objection to a caller; nil if the command may run.
    /// - Parameter origin: the place of the command in the configuration.
    func objection(to caller: CommandCaller, of origin: String, _ rules: any Judging) -> CommandObjection? {
        switch people {
        case .any: break
        case .none: return CommandObjection("\(origin).auth_strategy is none, which allows nobody")
        case .group where !rules.isListed(caller.person, on: caller.backend, in: members):
            return CommandObjection(
                "\(origin).allowed_groups allows only \(groups.joined(separator: ", ")), and "
                    + "\(caller.person.name) is not a member")
        case .group: break
        }
        switch (places, caller.room) {
        case (.any, _), (.directOnly, nil): return nil
        case (.directOnly, _): return CommandObjection("\(origin).channel_strategy allows it only in a direct chat")
        case (.channel, nil): return CommandObjection("\(origin).channel_strategy allows it only in rooms")
        case (.channel, let room?):
            let names = Set(rooms + rooms.map { "#" + $0 })
            if rooms.isEmpty || rules.isListed(room, on: caller.backend, in: names) { return nil }
            return CommandObjection("\(origin).allowed_channels does not contain \(room.name)")
        }
    }
}
