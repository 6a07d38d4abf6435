import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient

/// A chat account. The same ID on another backend is another account.
struct Identity: Hashable, Sendable, Codable {
    var backend: String
    var id: String

    /// The key of a record: different identities have different keys.
    var key: String { "\(backend.utf8.count):\(backend):\(id)" }
}

extension Identity {
    init(_ invocation: Invocation) {
        self.init(backend: invocation.address.backend, id: invocation.message.sender.id)
    }
}

/// A login of a user to StackStorm.
struct Session: Sendable {
    var id: UUID
    var owner: Identity
    /// The display name of the owner.
    var name: String
    /// The name of the StackStorm user.
    var account: String
    /// The method of the login, for display, such as `token` or `API key`.
    var method: String
    var credential: Credential
    /// The StackStorm of the credential, which is sent to no other.
    var stackStorm: String
    var since: Date
    var until: Date
}

extension Session {
    /// The record of a session in the sealed store. It contains the credential in plain text and must not be used
    /// anywhere else.
    private struct Stored: Codable {
        var id: UUID
        var owner: Identity
        var name: String
        var account: String
        var method: String
        var header: String
        var value: String
        var stackStorm: String
        var since: Date
        var until: Date
    }

    /// Returns the record for the sealed store. It contains the credential in plain text.
    func sealable() throws -> [UInt8] {
        try JSONValue.encode(
            Stored(
                id: id, owner: owner, name: name, account: account, method: method, header: credential.header,
                value: credential.value.reveal(), stackStorm: stackStorm, since: since, until: until))
    }

    /// Decodes a record of the sealed store.
    init(unsealed bytes: [UInt8]) throws {
        let stored = try JSONDecoder().decode(Stored.self, from: Data(bytes))
        self.init(
            id: stored.id, owner: stored.owner, name: stored.name, account: stored.account, method: stored.method,
            credential: Credential(header: stored.header, value: Secret(stored.value)),
            stackStorm: stored.stackStorm, since: stored.since, until: stored.until)
    }
}
