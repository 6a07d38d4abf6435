import Foundation
import PetrelKit

/// One execution that was started from chat: by whom, where, with which line.
struct StartedExecution: Codable, Sendable {
    var id: String
    var person: String
    var address: Address
    /// The alias line as it was typed, with its secrets masked.
    var line: String
    var alias: String
    /// Something in the line is masked, so that it cannot be run again.
    var isMasked: Bool?
}

/// What was started from chat, in the store.
struct StartedExecutions: Sendable {
    private static let kept = 10_000
    private let records: any RecordCollection

    init(_ records: any RecordCollection) {
        self.records = records
    }

    func add(_ execution: StartedExecution) async throws {
        try await records.set(JSONValue.encode(execution), for: execution.id)
        // Once in a while is enough: the bound need not be exact.
        if execution.id.utf8.reduce(0, { $0 &+ $1 }) % 64 == 0 { try await records.trim(to: Self.kept) }
    }

    func find(_ id: String) async throws -> StartedExecution? {
        try await records.value(for: id).map { try JSONDecoder().decode(StartedExecution.self, from: Data($0)) }
    }
}
