import PetrelKit
import PetrelSupport

/// A person or a channel that is called otherwise from now on.
enum SlackRename: Sendable, Equatable {
    case channel(id: String, name: String)
    /// As `users.info` tells.
    case person(id: String, JSONValue)

    /// Nil for every other event.
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
