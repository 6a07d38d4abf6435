package import Foundation
import PetrelSupport

/// Somebody whom StackStorm knows, and what proves it from now on.
package struct ProvenAccount: Sendable {
    package var user: String
    package var credential: Credential
    /// When StackStorm stops accepting it, as far as it says.
    package var expiry: Date?
}

extension StackStormClient {
    /// Asks StackStorm whose login this is. A password becomes a token and is forgotten; a token and an API key are
    /// proved with `GET /user`. Throws `.unauthorized` where StackStorm does not accept it.
    package func prove(_ login: StackStormSettings.Login) async throws -> ProvenAccount {
        switch login {
        case .password(let name, let password):
            // RFC 7617: a name with a colon would be read as another name.
            guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: ":")) else {
                throw StackStormError(.unauthorized, "Invalid or missing credentials")
            }
            let asked = Date.now
            let token = try await Self.token(for: name, password, settings, transport)
            return ProvenAccount(
                user: token.user, credential: .token(token.token),
                expiry: asked + TimeInterval(settings.tokenLifetime))
        case .token(let token): return try await account(of: .token(token))
        case .apiKey(let key): return try await account(of: .apiKey(key))
        }
    }

    private func account(of credential: Credential) async throws -> ProvenAccount {
        let value = credential.value.reveal().utf8
        // What no header can hold is no credential either.
        guard (1...4_096).contains(value.count), value.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw StackStormError(.unauthorized, "Unauthorized")
        }
        let account = try await call(.user(), as: credential)
        return ProvenAccount(
            user: account.username, credential: credential,
            expiry: account.authentication?.token_expire.flatMap { try? Date($0, strategy: .iso8601) })
    }
}
