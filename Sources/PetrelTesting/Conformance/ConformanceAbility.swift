import PetrelKit

/// An ability that a case needs: of the backend, of its service, or of the stage that stands for the service.
///
/// A case is skipped only if one of its abilities is missing, and the report lists the reason.
public enum ConformanceAbility: String, Sendable, Hashable, Codable, CaseIterable {
    /// The service has rooms.
    case rooms
    /// The service has direct chats between a person and the bot.
    case direct
    /// At least two people use the service.
    case people
    /// The service has threads.
    case threads
    /// A reply in a room can be visible to one person only.
    case privateReplies
    /// The bot can replace its messages.
    case edits
    /// The bot can send a long text as a file, whose content the stage reads.
    case files
    /// The backend tells its names from those of other backends.
    case naming
    /// The identifiers of people are bound to accounts.
    case stableIdentities
    /// The service rejects messages to places that do not exist, and the stage names some.
    case unknownPlaces
    /// The service may deliver a message twice; the stage can cause that.
    case redelivery
    /// The connection to the service can be cut and restored.
    case cutting
    /// The service can accept a connection without answering.
    case stalling
    /// The stage can make the service reject the next message for good.
    case refusingForGood
    /// The stage can make the service reject the next message for a while.
    case refusingForNow
    /// A backend that was stopped can run again in the same process, without a host or with another one. What it has
    /// read before is not delivered again, although the other host has another ``Storage``.
    case restarting

    /// Returns the reason why a backend does not have this ability; nil if it does, or if the service decides.
    private func denial(by backend: any ChatBackend, with traits: BackendTraits) -> String? {
        switch self {
        case .threads: traits.threads ? nil : "the backend declares no threads"
        case .privateReplies: traits.privateReplies ? nil : "the backend declares no private replies"
        case .edits: traits.edits && backend is any Editing ? nil : "the backend declares no edits"
        case .files: backend is any FileSending ? nil : "the backend does not conform to FileSending"
        case .naming: backend is any PlaceNaming ? nil : "the backend does not conform to PlaceNaming"
        default: nil
        }
    }

    /// Returns the reasons why some of these abilities are missing, in the order of their names.
    static func missing(_ needs: Set<ConformanceAbility>, on stage: any ConformanceStage) -> [String] {
        needs.sorted { $0.rawValue < $1.rawValue }.compactMap { need in
            if let denial = need.denial(by: stage.backend, with: stage.traits) { return denial }
            return stage.abilities.contains(need)
                ? nil : "the service, or the stand-in for it, has no ability “\(need.rawValue)”"
        }
    }
}
