public import PetrelSupport

/// A credential, which is sent as a header of a request.
public struct Credential: Sendable, Hashable {
    /// The name of the header.
    package var header: String
    /// The value of the header.
    package var value: Secret

    /// Creates a credential.
    package init(header: String, value: Secret) {
        self.header = header
        self.value = value
    }

    /// Returns the credential of a token (`X-Auth-Token`).
    public static func token(_ value: Secret) -> Credential { Credential(header: "X-Auth-Token", value: value) }

    /// Returns the credential of an API key (`St2-Api-Key`).
    public static func apiKey(_ value: Secret) -> Credential { Credential(header: "St2-Api-Key", value: value) }

    var field: (String, String) { (header, value.reveal()) }
}

/// The credential of a login, which is renewed before it expires and after StackStorm has rejected it. Concurrent
/// callers share a renewal.
package actor CredentialKeeper {
    /// A function that exchanges a user name and a password for a token.
    package typealias FetchToken = @Sendable (_ name: String, _ password: Secret) async throws -> Token

    private let login: StackStormSettings.Login
    private let lifetime: Duration
    private let fetch: FetchToken
    private let now: @Sendable () -> ContinuousClock.Instant
    private var current: (credential: Credential, goodUntil: ContinuousClock.Instant)?
    private var renewal: Task<Credential, any Error>?

    /// Creates a keeper.
    ///
    /// - Parameters:
    ///   - login: The login.
    ///   - lifetime: The lifetime of tokens. They are renewed when nine tenths of it have passed.
    ///   - now: The clock.
    ///   - fetch: A function that creates a token.
    package init(
        _ login: StackStormSettings.Login, lifetime: Duration,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }, fetch: @escaping FetchToken
    ) {
        self.login = login
        self.lifetime = lifetime
        self.now = now
        self.fetch = fetch
    }

    /// Returns the current credential, and creates or renews a token if that is necessary.
    package func credential() async throws -> Credential {
        switch login {
        case .apiKey(let key): return .apiKey(key)
        case .token(let token): return .token(token)
        case .password:
            if let current, now() < current.goodUntil { return current.credential }
            return try await renewed()
        }
    }

    /// Returns another credential than the one that StackStorm has rejected, or nil for a login that is not a password.
    package func replacement(for refused: Credential) async throws -> Credential? {
        guard case .password = login else { return nil }
        if let current, current.credential != refused { return current.credential }
        current = nil
        return try await renewed()
    }

    private func renewed() async throws -> Credential {
        if let renewal { return try await renewal.sharedValue }
        guard case .password(let name, let password) = login else { throw CancellationError() }
        let task = Task { [fetch] in
            Credential.token(try await fetch(name, password).token)
        }
        renewal = task
        defer { renewal = nil }
        let asked = now()
        let credential = try await task.sharedValue
        // Tokens are renewed early, so that no request uses an expired one.
        current = (credential, asked + lifetime * 0.9)
        return credential
    }
}
