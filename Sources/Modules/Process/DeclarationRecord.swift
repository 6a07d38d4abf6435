import PetrelKit
import PetrelSupport

/// The record of the commands that a module's program declared in its latest run. A program cannot name its collection.
struct DeclarationRecord {
    private static let key = "commands"

    private let records: any RecordCollection

    init(_ storage: any Storage) { records = storage.records("Declarations") }

    /// Returns the declarations as they were received; nil if the program has never run.
    func value() async throws -> JSONValue? { try await records.value(for: Self.key).map { try JSONValue.parse($0) } }

    /// Queues the write of declarations.
    func put(_ value: JSONValue?) {
        // Encoding fails only for a number that is not finite, which no message contains.
        guard let bytes: [UInt8] = try? JSONValue.encode(value ?? .array([])) else { return }
        records.put(bytes, for: Self.key)
    }
}
