public import Foundation
import PetrelSupport

/// An account that was authenticated, with its credential.
public struct ProvenAccount: Sendable {
    /// The name of the user.
    public var user: String
    /// The credential for further calls.
    public var credential: Credential
    /// The expiry of the credential, or nil if it is not known or does not expire.
    public var expiry: Date?
}

extension StackStormClient {
    /// Authenticates a login and returns its account.
    ///
    /// A password is exchanged for a token (`POST /tokens`) and not kept; a token and an API key are verified with
    /// `GET /user`.
    ///
    /// - Throws: ``StackStormError`` with the code `unauthorized` if StackStorm does not accept the login.
    public func prove(_ login: StackStormSettings.Login) async throws -> ProvenAccount {
        switch login {
        case .password(let name, let password):
            // A user name with a colon would be split at it (RFC 7617).
            guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: ":")) else {
                throw StackStormError(.unauthorized, "Invalid or missing credentials")
            }
            let asked = Date.now
            let token = try await Self.token(for: name, password, settings, transport)
            return ProvenAccount(
                user: token.user, credential: .token(token.token),
                expiry: asked + TimeInterval(settings.tokenLifetime))
        case .token(let token): return try await proven(.token(token))
        case .apiKey(let key): return try await proven(.apiKey(key))
        }
    }

    private func proven(_ credential: Credential) async throws -> ProvenAccount {
        let value = credential.value.reveal().utf8
        // Other values cannot be sent in a header.
        guard (1...4_096).contains(value.count), value.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw StackStormError(.unauthorized, "Unauthorized")
        }
        let account = try await call(.user(), as: credential)
        return ProvenAccount(
            user: account.username, credential: credential,
            expiry: account.authentication?.token_expire.flatMap { try? Date($0, strategy: .iso8601) })
    }
}
