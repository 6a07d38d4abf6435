import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// One execution that was started from chat: by whom, where, with which line.
struct StartedExecution: Codable, Sendable, Equatable {
    var id: String
    var person: String
    var address: Address
    /// The alias line as it was typed, with its secrets masked.
    var line: String
    var alias: String
    /// Something in the line is masked, so that it cannot be run again.
    var isMasked: Bool?
    /// Petrel's own id of it; nil in what an older version stored.
    var request: String?
    /// By StackStorm's clock.
    var start: StackStormTime?
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
            logger.error("Cannot store the execution \(execution.id) of \(execution.alias): \(error)")
        }
    }

    /// Forgets the oldest.
    func trim() async throws { try await records.trim(to: Self.kept) }

    /// All of them by Petrel's own ids.
    func byRequest() async throws -> [String: StartedExecution] {
        let all = try await records.all().decoded(as: StartedExecution.self, "started execution", logger)
        return Dictionary(all.compactMap { one in one.request.map { ($0, one) } }) { first, _ in first }
    }

    func find(_ id: String) async throws -> StartedExecution? {
        try await records.value(for: id).map { try JSONDecoder().decode(StartedExecution.self, from: Data($0)) }
    }
}

extension [(key: String, value: [UInt8])] {
    /// Records as values. One that cannot be read costs itself, and is told.
    /// - Parameter what: they are, for the log.
    func decoded<Value: Decodable>(as type: Value.Type, _ what: String, _ logger: Logger) -> [Value] {
        let decoder = JSONDecoder()
        return compactMap { key, value in
            do {
                return try decoder.decode(Value.self, from: Data(value))
            } catch {
                logger.error(
                    "The stored \(what) \(key) cannot be read, and is left out: \(JSONValue.reason(of: error))")
                return nil
            }
        }
    }
}
