import PetrelSupport

/// Temporary credentials by key, which are renewed before they expire. Concurrent callers share a renewal.
actor CredentialCache<Key: Hashable & Sendable> {
    /// The time before the expiry at which credentials are renewed, in seconds.
    static var margin: Int64 { 300 }
    /// The time before the expiry from which calls wait for the renewal, in seconds.
    private static var lastMoment: Int64 { 10 }

    private let now: @Sendable () -> Int64
    private var current: [Key: AWSCredentials] = [:]
    private var renewals: [Key: Task<AWSCredentials, any Error>] = [:]

    /// - Parameter now: Returns the local time, in seconds since 1970.
    init(now: @escaping @Sendable () -> Int64) { self.now = now }

    /// Returns the credentials of a key. Fetches them if the cache does not have them. Credentials that expire soon are
    /// renewed while they are used, so that a slow or failing source disturbs nobody before they have expired.
    func credentials(
        for key: Key, fetch: @escaping @Sendable () async throws -> AWSCredentials
    ) async throws -> AWSCredentials {
        guard let known = current[key], remaining(of: known) > Self.lastMoment else {
            return try await renewal(key, fetch).sharedValue
        }
        // If the renewal fails, a later call tries again.
        if remaining(of: known) <= Self.margin { _ = renewal(key, fetch) }
        return known
    }

    private func remaining(of credentials: AWSCredentials) -> Int64 {
        credentials.expiration.map { $0 - now() } ?? .max
    }

    private func renewal(
        _ key: Key, _ fetch: @escaping @Sendable () async throws -> AWSCredentials
    ) -> Task<AWSCredentials, any Error> {
        if let renewal = renewals[key] { return renewal }
        let renewal = Task {
            defer { renewals[key] = nil }
            let credentials = try await fetch()
            current[key] = credentials
            return credentials
        }
        renewals[key] = renewal
        return renewal
    }

    /// Removes credentials that AWS has rejected, unless they were renewed since.
    func drop(_ rejected: AWSCredentials, for key: Key) {
        if current[key] == rejected { current[key] = nil }
    }
}
