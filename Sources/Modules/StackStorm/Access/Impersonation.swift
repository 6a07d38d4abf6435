import PetrelKit
import PetrelSupport
import StackStormClient

/// Which StackStorm account is whose, where nobody logs in.
package struct Impersonation: Sendable, Equatable {
    /// The accounts of people, by `BACKEND/ID`.
    package var users: [String: String] = [:]
    /// Whoever is not among them is the user who has their id as nickname, with the backend as its origin.
    package var usesNicknames = false

    /// As whom somebody acts; nil where nothing says so.
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
            section.problem("users", "is empty, and nicknames is false: nobody would have an account")
        }
        section.finish()
    }
}
