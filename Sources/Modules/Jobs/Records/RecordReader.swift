import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// Decodes records of the store. A record that cannot be read is left out and logged, so that it does not affect others.
final class RecordReader: Sendable {
    /// The maximum number of records that are remembered, so that each is logged once.
    private static let most = 1_000

    private let logger: Logger
    private let unreadable = Locked<Set<String>>([])

    init(_ logger: Logger) { self.logger = logger }

    /// The number of records that could not be read.
    var failures: Int { unreadable.value.count }

    /// Decodes a record; nil if it cannot be read.
    /// - Parameters:
    ///   - subject: What the record is about, for the log, such as `job 7`.
    ///   - key: The identity of the record, which is not logged.
    func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8], _ subject: String, key: String) -> Value? {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            let isNew = unreadable.withLock { $0.count < Self.most && $0.insert(key).inserted }
            if isNew {
                logger.error(
                    "A stored record (\(subject)) cannot be read and was skipped: \(JSONValue.reason(of: error))")
            }
            return nil
        }
    }

    /// Encrypts a record that was stored as plain text. A failure is logged, and the record stays as it is.
    func seal(_ record: GuardedRecords.Record, in records: GuardedRecords, _ subject: String) async {
        do {
            try await records.set(record.value, for: record.key, isSecret: true)
        } catch {
            logger.error("A stored record (\(subject)) contains a secret, but cannot be encrypted: \(error)")
        }
    }
}
