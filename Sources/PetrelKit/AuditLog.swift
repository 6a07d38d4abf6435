public import Foundation
import PetrelSupport

/// One command that somebody gave, and what was decided. Lines come with their secrets masked.
public struct AuditEntry: Sendable, Hashable, Codable {
    public var id: UUID
    public var time: Date
    public var backend: String
    /// The backend's own identifier, and what people call them.
    public var person: String
    public var name: String
    /// The name of the room; nil in a direct chat.
    public var room: String?
    /// The normalised command line.
    public var line: String
    public var isAllowed: Bool
    /// The place in `access_controls` of the rule that decided; nil where none matched.
    public var rule: Int?
    public var reason: String
    /// What was started in StackStorm.
    public var executions: [String]
    /// How often the same person wrote the same again within a minute, with the same decision.
    public var repeats = 0

    public init(
        id: UUID? = nil, time: Date = .now, backend: String, person: String, name: String, room: String?,
        line: String, isAllowed: Bool, rule: Int?, reason: String, executions: [String] = [], repeats: Int = 0
    ) {
        self.id = id ?? .timeOrdered()
        self.time = time
        self.backend = backend
        self.person = person
        self.name = name
        self.room = room
        self.line = line
        self.isAllowed = isAllowed
        self.rule = rule
        self.reason = reason
        self.executions = executions
        self.repeats = repeats
    }
}

extension AuditEntry {
    /// With every text on one line and at most 2,000 bytes long, so that no entry looks like two and none fills the
    /// store.
    public var bounded: AuditEntry {
        var entry = self
        for part in [\AuditEntry.backend, \.person, \.name, \.line, \.reason] {
            entry[keyPath: part] = Self.bounded(entry[keyPath: part])
        }
        entry.room = room.map(Self.bounded)
        return entry
    }

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

/// Which entries are wanted, the newest first.
public struct AuditQuery: Sendable, Hashable {
    /// By id or by name.
    public var person: String?
    public var onlyDenied: Bool
    public var limit: Int

    public init(person: String? = nil, onlyDenied: Bool = false, limit: Int = 20) {
        self.person = person
        self.onlyDenied = onlyDenied
        self.limit = limit
    }
}

/// Who did what. Recording returns at once; what was recorded is written in its order, and before the process ends.
public protocol AuditLog: Sendable {
    /// - Returns: the id of the entry that has it: another one where it repeats that.
    @discardableResult func record(_ entry: AuditEntry) -> UUID
    /// An execution came of the command, whose line is known better by now: with StackStorm's own secrets masked.
    func started(_ execution: String, line: String?, by entry: UUID)
    func entries(_ query: AuditQuery) async throws -> [AuditEntry]
}
