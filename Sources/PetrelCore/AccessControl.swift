package import PetrelKit

/// Who may run what. A value: a decision is synchronous and knows its reason.
package struct AccessControl: Sendable {
    package struct Decision: Sendable, Hashable {
        package var isAllowed: Bool
        package var reason: String
    }

    /// Ids, or names with `@`.
    package var admins: Set<String>
    /// Whether `@name` counts besides the id.
    package var matchesNames: Bool

    package init(admins: Set<String> = [], matchesNames: Bool = true) {
        self.admins = admins
        self.matchesNames = matchesNames
    }

    package func isAdmin(_ person: Person) -> Bool {
        guard person.isStable else { return false }
        return admins.contains(person.id) || (matchesNames && admins.contains(person.name))
    }

    package func decide(_ command: Command, for message: ChatMessage) -> Decision {
        if command.isAdminOnly && !isAdmin(message.sender) {
            return Decision(isAllowed: false, reason: "Only an administrator may run this command.")
        }
        if command.isDirectOnly && !message.isDirect {
            return Decision(isAllowed: false, reason: "This command works in a direct chat only: write to me there.")
        }
        return Decision(isAllowed: true, reason: "allowed to everybody")
    }
}
