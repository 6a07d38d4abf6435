import PetrelSupport

/// Temporary credentials by key, which are renewed before they expire. Concurrent callers share a renewal.
actor CredentialCache<Key: Hashable & Sendable> {
    /// The time before the expiry at which credentials are renewed, in seconds.
    static var margin: Int64 { 300 }

    private let now: @Sendable () -> Int64
    private var current: [Key: AWSCredentials] = [:]
    private var renewals: [Key: Task<AWSCredentials, any Error>] = [:]

    /// - Parameter now: Returns the local time, in seconds since 1970.
    init(now: @escaping @Sendable () -> Int64) { self.now = now }

    /// Returns the credentials of a key. Fetches them if the cache does not have them or if they expire soon.
    func credentials(
        for key: Key, fetch: @escaping @Sendable () async throws -> AWSCredentials
    ) async throws -> AWSCredentials {
        let known = current[key]
        if let known, remaining(of: known) > Self.margin { return known }
        do {
            return try await renewed(key, fetch)
        } catch let error as AWSError {
            // They are still valid for some minutes; a later call tries again.
            if let known, current[key] == known, remaining(of: known) > 10 { return known }
            throw error
        }
    }

    private func remaining(of credentials: AWSCredentials) -> Int64 {
        credentials.expiration.map { $0 - now() } ?? .max
    }

    private func renewed(
        _ key: Key, _ fetch: @escaping @Sendable () async throws -> AWSCredentials
    ) async throws -> AWSCredentials {
        if let renewal = renewals[key] { return try await renewal.sharedValue }
        let renewal = Task {
            defer { renewals[key] = nil }
            let credentials = try await fetch()
            current[key] = credentials
            return credentials
        }
        renewals[key] = renewal
        return try await renewal.sharedValue
    }

    /// Removes credentials that AWS has rejected, unless they were renewed since.
    func drop(_ rejected: AWSCredentials, for key: Key) {
        if current[key] == rejected { current[key] = nil }
    }
}
