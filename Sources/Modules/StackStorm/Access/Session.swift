import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient

/// Somebody, on one backend. The same name on another backend is somebody else.
struct Identity: Hashable, Sendable, Codable {
    var backend: String
    var id: String

    /// One text for each identity, and no two with the same.
    var key: String { "\(backend.utf8.count):\(backend):\(id)" }
}

extension Identity {
    init(_ invocation: Invocation) {
        self.init(backend: invocation.address.backend, id: invocation.message.sender.id)
    }
}

/// A person who is logged in to StackStorm.
struct Session: Sendable {
    var id: UUID
    var owner: Identity
    /// What people call the owner.
    var name: String
    /// The user in StackStorm.
    var account: String
    /// How they logged in, for people: `password`, `token`, `API key`.
    var method: String
    var credential: Credential
    /// Which StackStorm the credential is for: it is sent to no other.
    var stackStorm: String
    var since: Date
    var until: Date
}

extension Session {
    /// As it lies in the sealed store. The credential is plain in here: this must go nowhere else.
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

    func sealable() throws -> [UInt8] {
        try JSONValue.encode(
            Stored(
                id: id, owner: owner, name: name, account: account, method: method, header: credential.header,
                value: credential.value.reveal(), stackStorm: stackStorm, since: since, until: until))
    }

    init(unsealed bytes: [UInt8]) throws {
        let stored = try JSONDecoder().decode(Stored.self, from: Data(bytes))
        self.init(
            id: stored.id, owner: stored.owner, name: stored.name, account: stored.account, method: stored.method,
            credential: Credential(header: stored.header, value: Secret(stored.value)),
            stackStorm: stored.stackStorm, since: stored.since, until: stored.until)
    }
}
