package import PetrelSupport

/// What proves who is asking: one header.
package struct Credential: Sendable, Hashable {
    package var header: String
    package var value: Secret

    package init(header: String, value: Secret) {
        self.header = header
        self.value = value
    }

    package static func token(_ value: Secret) -> Credential { Credential(header: "X-Auth-Token", value: value) }

    package static func apiKey(_ value: Secret) -> Credential { Credential(header: "St2-Api-Key", value: value) }

    var field: (String, String) { (header, value.reveal()) }
}

/// Holds one account's credential and renews it: before it expires, and once when it was refused. Callers that come
/// meanwhile wait for the same renewal.
package actor CredentialKeeper {
    package typealias FetchToken = @Sendable (_ name: String, _ password: Secret) async throws -> Token

    private let login: StackStormSettings.Login
    private let lifetime: Duration
    private let fetch: FetchToken
    private let now: @Sendable () -> ContinuousClock.Instant
    private var current: (credential: Credential, goodUntil: ContinuousClock.Instant)?
    private var renewal: Task<Credential, any Error>?

    package init(
        _ login: StackStormSettings.Login, lifetime: Duration,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }, fetch: @escaping FetchToken
    ) {
        self.login = login
        self.lifetime = lifetime
        self.now = now
        self.fetch = fetch
    }

    /// A credential that is good as far as is known.
    package func credential() async throws -> Credential {
        switch login {
        case .apiKey(let key): return .apiKey(key)
        case .token(let token): return .token(token)
        case .password:
            if let current, now() < current.goodUntil { return current.credential }
            return try await renewed()
        }
    }

    /// Another credential than the one that StackStorm refused, or nil where there is no way to get one.
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
        // A tenth of its life before the end, so that no request meets an expired one.
        current = (credential, asked + lifetime * 0.9)
        return credential
    }
}
