import PetrelKit
import PetrelSupport
import StackStormClient

/// The assignment of StackStorm users to chat accounts, for `rbac_auth.impersonate`.
package struct Impersonation: Sendable, Equatable {
    /// The names of StackStorm users by chat account, which is `BACKEND/ID`.
    package var users: [String: String] = [:]
    /// True if the StackStorm user of any other chat account is the one whose nickname is its ID, with the backend as
    /// origin.
    package var usesNicknames = false

    /// Returns the StackStorm user of a chat account, or nil. IDs are compared by bytes.
    func person(_ owner: Identity) -> Impersonated? {
        let key = "\(owner.backend)/\(owner.id)"
        if let user = users.first(where: { $0.key.utf8.elementsEqual(key.utf8) })?.value { return .user(user) }
        return usesNicknames ? .nickname(owner.id, origin: owner.backend) : nil
    }
}

extension Impersonation {
    init(_ section: SettingsSection) {
        let map = section.section("users")
        for key in map.keys {
            let name = map.requiredString(key)
            let parts = key.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count < 2 || parts.contains(where: \.isEmpty) {
                map.problem(key, "must be BACKEND/ID, such as slack/U7")
            }
            if name.isBlank { map.problem(key, "must name a StackStorm user") }
            users[key] = name
        }
        map.finish()
        usesNicknames = section.bool("nicknames", default: false)
        if users.isEmpty, !usesNicknames {
            section.problem("users", "is empty and nicknames is false: no user would have an account")
        }
        section.finish()
    }
}
