import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

/// An execution that was started from chat.
struct StartedExecution: Codable, Sendable, Equatable {
    var id: String
    var person: String
    var address: Address
    /// The line as typed, with secrets masked.
    var line: String
    var alias: String
    /// True if a secret in the line is masked, so that the line cannot be run again.
    var isMasked: Bool?
    /// The request ID; nil in records of older versions.
    var request: String?
    /// The start of the execution, by StackStorm's clock.
    var start: StackStormTime?
}

/// The executions that were started from chat, in the store.
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

    /// Removes the oldest executions if there are too many.
    func trim() async throws { try await records.trim(to: Self.kept) }

    /// Returns all executions by request ID.
    func byRequest() async throws -> [String: StartedExecution] {
        let all = try await records.all().decoded(as: StartedExecution.self, "started execution", logger)
        return Dictionary(all.compactMap { one in one.request.map { ($0, one) } }) { first, _ in first }
    }

    func find(_ id: String) async throws -> StartedExecution? {
        try await records.value(for: id).map { try JSONDecoder().decode(StartedExecution.self, from: Data($0)) }
    }
}

extension [(key: String, value: [UInt8])] {
    /// Decodes records. A record that cannot be decoded is logged and skipped.
    ///
    /// - Parameter what: The kind of the records, for the log.
    func decoded<Value: Decodable>(as type: Value.Type, _ what: String, _ logger: Logger) -> [Value] {
        let decoder = JSONDecoder()
        return compactMap { key, value in
            do {
                return try decoder.decode(Value.self, from: Data(value))
            } catch {
                logger.error(
                    "The stored \(what) \(key) cannot be read and is skipped: \(JSONValue.reason(of: error))")
                return nil
            }
        }
    }
}
