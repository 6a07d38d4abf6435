import Crypto
import Foundation
import PetrelKit
import PetrelSupport

/// A token: the right to run one command, as one person in one place, over HTTP.
struct TokenRecord: Sendable, Codable {
    /// The short identifier.
    var id: String
    /// The person as whom the command runs.
    var person: String
    var personName: String
    /// True if the identifier of the person is bound to one account.
    var isStable: Bool
    /// The room in which it runs; nil for a direct chat.
    var room: String?
    var roomName: String?
    /// True if the room is private.
    var isPrivateRoom: Bool?
    /// The destination of the replies.
    var address: Address
    /// The command and its arguments, without the prefix.
    var line: String
    /// The time of creation, and the administrator.
    var created: Date
    var creator: String

    var caller: CommandCaller {
        CommandCaller(
            person: Person(id: person, name: personName, isStable: isStable),
            room: room.map { Room(id: $0, name: roomName ?? $0, isPrivate: isPrivateRoom == true) },
            backend: address.backend)
    }
}

/// All tokens: in memory by their hashes, and in the store.
final class Tokens: Sendable {
    /// The maximum number of tokens.
    static let most = 10_000

    private let records: GuardedRecords
    private let reader: RecordReader
    /// Returns true for a line with secrets in it.
    private let isSecret: @Sendable (String) -> Bool
    private let state = Locked<[String: TokenRecord]>([:])
    private let restored = Signal()

    init(_ records: GuardedRecords, _ reader: RecordReader, isSecret: @escaping @Sendable (String) -> Bool) {
        self.records = records
        self.reader = reader
        self.isSecret = isSecret
    }

    /// Reads the tokens from the store.
    func restore() async throws {
        var all: [String: TokenRecord] = [:]
        for record in try await records.all() where all[record.key] == nil {
            let token = reader.decode(TokenRecord.self, record.value, "token", key: "tokens \(record.key)")
            guard let token else { continue }
            all[record.key] = token
            // The commands that have secrets may have changed since it was stored.
            if !record.isSealed, isSecret(token.line) { await reader.seal(record, in: records, "token") }
        }
        let tokens = all
        state.withLock { $0.merge(tokens) { new, _ in new } }
        restored.open()
    }

    /// True once the tokens of earlier runs were read.
    var isRestored: Bool { restored.isOpen }

    /// Adds a token, and returns its secret, which is not stored.
    func add(_ token: TokenRecord) async throws -> Secret {
        let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
        let secret = Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
            .replacing("=", with: "")
        let hash = Self.hash(secret)
        guard state.withLock({ $0.count < Self.most }) else {
            throw Refusal("There are \(Self.most) tokens already. Revoke some of them first.")
        }
        try await records.set(try JSONValue.encode(token), for: hash, isSecret: isSecret(token.line))
        state.withLock { $0[hash] = token }
        return Secret(secret)
    }

    /// Returns the token of a secret. The lookup is by hash, so its time tells nothing about other secrets.
    func token(_ secret: Secret) -> TokenRecord? {
        let hash = Self.hash(secret.reveal())
        return state.withLock { $0[hash] }
    }

    /// The tokens, the newest first.
    var all: [TokenRecord] { state.withLock { $0.values.sorted { $0.created > $1.created } } }

    /// Removes a token by its short identifier. Returns false if there is none.
    func revoke(_ id: String) async throws -> Bool {
        let hash = state.withLock { $0.first { $0.value.id.isKeyword(id) }?.key }
        guard let hash else { return false }
        try await records.remove(hash)
        state.withLock { $0[hash] = nil }
        return true
    }

    /// Returns a short identifier that no token has.
    func newID() -> String {
        while true {
            let id = String(UInt32.random(in: .min ... .max), radix: 36)
            let short = String(id.unicodeScalars.suffix(6))
            if short.utf8.count == 6, !all.contains(where: { $0.id.isKeyword(short) }) { return short }
        }
    }

    private static func hash(_ secret: String) -> String {
        SHA256.hash(data: Data(secret.utf8)).map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined()
    }
}
