import PetrelKit
import PetrelSupport

/// An event that changes the name of a user or a channel.
enum SlackRename: Sendable, Equatable {
    case channel(id: String, name: String)
    /// A user, with the user object as returned by `users.info`.
    case person(id: String, JSONValue)

    /// Returns nil for all other events.
    init?(_ event: JSONValue) {
        switch event["type"]?.string {
        case "channel_rename", "group_rename":
            guard let id = event["channel"]?["id"]?.string, let name = event["channel"]?["name"]?.string else {
                return nil
            }
            self = .channel(id: id, name: name)
        case "user_change", "user_profile_changed":
            guard let user = event["user"], let id = user["id"]?.string else { return nil }
            self = .person(id: id, user)
        default: return nil
        }
    }
}
