import PetrelKit
import PetrelSupport

/// The confirmations that still show a running job, in the store, so that they can be completed after the death of
/// Petrel.
struct Confirmations: Sendable {
    /// A confirmation.
    struct Record: Sendable, Codable {
        /// The text, without what is shown while the job runs.
        var reply: Reply
        /// The message; nil until it was sent.
        var message: SentMessage?
    }

    private let records: any RecordCollection
    private let reader: RecordReader

    init(_ storage: any Storage, _ reader: RecordReader) {
        records = storage.records("confirmations")
        self.reader = reader
    }

    /// Stores a confirmation.
    func put(_ reply: Reply, _ message: SentMessage? = nil, of job: JobRecord) throws {
        records.put(try JSONValue.encode(Record(reply: reply, message: message)), for: job.key)
    }

    /// Removes a confirmation that shows the end of its job, or can never show it.
    func remove(_ key: String) { records.put(nil, for: key) }

    /// Returns the confirmations that can be read, with the numbers of their jobs.
    func all() async throws -> [(job: Int, confirmation: Record)] {
        try await records.all().compactMap { record in
            guard let id = JobRecord.number(of: record.key),
                let confirmation = reader.decode(
                    Record.self, record.value, "confirmation of job \(id)", key: "confirmations \(record.key)")
            else { return nil }
            return (id, confirmation)
        }
    }
}
