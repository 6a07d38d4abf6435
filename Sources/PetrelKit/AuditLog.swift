public import Foundation
import PetrelSupport

/// A command and the decision on it.
public struct AuditEntry: Sendable, Hashable, Codable {
    /// The identifier of the entry. Identifiers sort in the order of time.
    public var id: UUID
    /// The time of the decision.
    public var time: Date
    /// The name of the backend.
    public var backend: String
    /// The identifier of the person on the backend.
    public var person: String
    /// The display name of the person.
    public var name: String
    /// The name of the room, or the identifier of a private one; nil in a direct chat.
    public var room: String?
    /// True if the room is private, so that it is not shown to people who are not in it.
    public var isPrivateRoom: Bool
    /// The normalised command line, with its secrets masked.
    public var line: String
    /// True if the command was allowed.
    public var isAllowed: Bool
    /// The index in `access_controls` of the rule that matched; nil if none did.
    public var rule: Int?
    /// The reason for the decision, as a clause.
    public var reason: String
    /// The identifiers of the executions that the command started; those of other things with a word before them, such
    /// as `job 12`.
    public var executions: [String]
    /// The number of times that the person repeated the command within a minute, with the same decision.
    public var repeats = 0

    /// Creates an entry. The identifier defaults to a new one.
    public init(
        id: UUID? = nil, time: Date = .now, backend: String, person: String, name: String, room: String?,
        isPrivateRoom: Bool = false, line: String, isAllowed: Bool, rule: Int?, reason: String,
        executions: [String] = [], repeats: Int = 0
    ) {
        self.id = id ?? .timeOrdered()
        self.time = time
        self.backend = backend
        self.person = person
        self.name = name
        self.room = room
        self.isPrivateRoom = isPrivateRoom
        self.line = line
        self.isAllowed = isAllowed
        self.rule = rule
        self.reason = reason
        self.executions = executions
        self.repeats = repeats
    }
}

extension AuditEntry {
    /// The entry with each text on one line and limited to 2,000 bytes, so that no entry can look like two entries or
    /// fill the store.
    public var bounded: AuditEntry {
        var entry = self
        for part in [\AuditEntry.backend, \.person, \.name, \.line, \.reason] {
            entry[keyPath: part] = Self.bounded(entry[keyPath: part])
        }
        entry.room = room.map(Self.bounded)
        return entry
    }

    /// Returns a text on one line, limited to 2,000 bytes, with control characters replaced by spaces.
    public static func bounded(_ text: String) -> String {
        let longest = 2_000
        if text.utf8.count <= longest, text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        var bounded = String.UnicodeScalarView()
        var length = 0
        for scalar in text.unicodeScalars {
            let isShown = !scalar.isTreacherous && !scalar.properties.isWhitespace
            length += UTF8.width(scalar)
            if length > longest { return String(bounded) + "…" }
            bounded.append(isShown ? scalar : " ")
        }
        return String(bounded)
    }
}

/// A query for audit entries.
public struct AuditQuery: Sendable, Hashable {
    /// The id or the name of the person, with or without `@`; nil for all.
    public var person: String?
    /// True to return only denied commands.
    public var onlyDenied: Bool
    /// The maximum number of entries.
    public var limit: Int

    /// Creates a query.
    public init(person: String? = nil, onlyDenied: Bool = false, limit: Int = 20) {
        self.person = person
        self.onlyDenied = onlyDenied
        self.limit = limit
    }
}

/// A log of commands and decisions. Entries are written in their order, and before the process ends.
public protocol AuditLog: Sendable {
    /// Queues an entry, and returns at once.
    /// - Returns: the id of the stored entry: of an earlier one if the entry repeats it.
    @discardableResult func record(_ entry: AuditEntry) -> UUID
    /// Adds an execution, or something else with a word before its identifier, to an entry.
    /// - Parameter line: the line with further secrets masked, which replaces that of the entry; nil to leave it.
    func started(_ execution: String, line: String?, by entry: UUID)
    /// Returns the entries that match a query, the newest first.
    func entries(_ query: AuditQuery) async throws -> [AuditEntry]
}
