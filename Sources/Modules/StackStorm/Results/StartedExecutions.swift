import Foundation
import Logging
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
    private let logger: Logger

    init(_ records: any RecordCollection, logger: Logger) {
        self.records = records
        self.logger = logger
    }

    func add(_ execution: StartedExecution) {
        do {
            records.put(try JSONValue.encode(execution), for: execution.id)
        } catch {
            logger.error("The execution \(execution.id) could not be kept in the store: \(error)")
        }
    }

    /// Forgets the oldest.
    func trim() async throws { try await records.trim(to: Self.kept) }

    func find(_ id: String) async throws -> StartedExecution? {
        try await records.value(for: id).map { try JSONDecoder().decode(StartedExecution.self, from: Data($0)) }
    }
}
