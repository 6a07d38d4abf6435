package import PetrelSupport

/// A role in another account, and the external ID that its trust policy may require.
package struct AssumableRole: Sendable, Hashable {
    /// The ARN of the role.
    package var arn: RoleARN
    /// The external ID; nil if the trust policy does not require one.
    package var externalID: Secret?

    /// Creates a role.
    package init(arn: RoleARN, externalID: Secret? = nil) {
        self.arn = arn
        self.externalID = externalID
    }
}

/// The sessions of roles, which are cached and renewed.
package final class RoleSessions: Sendable {
    private let assumption: RoleAssumption
    private let chain: CredentialChain
    private let cache: CredentialCache<AssumableRole>

    /// Creates sessions.
    /// - Parameters:
    ///   - name: The name of the sessions, which CloudTrail shows.
    ///   - environment: The environment variables with the sources of the bot's own credentials.
    ///   - programs: The environment of programs that print credentials (`credential_process`).
    ///   - region: The region whose STS issues the bot's own credentials.
    ///   - limit: The time limit of a renewal, which several searches may wait for.
    package init(
        _ client: QueryClient, name: String, environment: [String: String], programs: [String: String], region: String,
        limit: Duration
    ) {
        assumption = RoleAssumption(client: client, session: name, region: region, limit: limit)
        chain = CredentialChain(assumption, environment: environment, programs: programs)
        let clock = client.clock
        cache = CredentialCache { clock.localSeconds }
    }

    /// Returns the credentials of a session. Throws ``AWSError`` if the role cannot be assumed.
    func credentials(of role: AssumableRole, region: String, until deadline: Deadline) async throws -> AWSCredentials {
        try await deadline.enforce(
            orThrow: { AWSError(.late, "STS gave no complete answer within \(deadline.limit.inSeconds)") },
            {
                try await self.cache.credentials(for: role) { try await self.assumed(role, in: region) }
            })
    }

    /// Removes a session that AWS has rejected.
    func drop(_ rejected: AWSCredentials, of role: AssumableRole) async { await cache.drop(rejected, for: role) }

    private func assumed(_ role: AssumableRole, in region: String) async throws -> AWSCredentials {
        let own = try await chain.credentials()
        let request = RoleRequest(role: role)
        do {
            return try await assumption.credentials(of: request, with: own, in: region)
        } catch let error as AWSError where [.unknownKey, .expired, .signature].contains(error.code) {
            await chain.drop(own)
            let newer = try await chain.credentials()
            // The credentials may have been replaced in their source.
            guard newer != own else { throw error }
            return try await assumption.credentials(of: request, with: newer, in: region)
        }
    }
}
