package import PetrelSupport

/// A role in another account, and the external ID that its trust policy may require.
package struct AssumableRole: Sendable, Hashable {
    /// The ARN of the role.
    package var arn: RoleARN
    /// The external ID; nil for none.
    package var externalID: Secret?

    /// Creates a role.
    package init(arn: RoleARN, externalID: Secret? = nil) {
        self.arn = arn
        self.externalID = externalID
    }
}

/// The sessions of roles, which are cached and renewed.
package final class RoleSessions: Sendable {
    private let client: QueryClient
    private let chain: CredentialChain
    private let cache: CredentialCache<AssumableRole>
    private let name: String
    private let limit: Duration

    /// Creates sessions.
    /// - Parameters:
    ///   - name: The name of the sessions, which CloudTrail shows.
    ///   - environment: The environment variables with the sources of the bot's own credentials.
    ///   - region: The region whose STS a web identity uses.
    ///   - limit: The time limit of a renewal, which several searches may wait for.
    package init(
        _ client: QueryClient, name: String, environment: [String: String], region: String, limit: Duration
    ) {
        self.client = client
        self.limit = limit
        self.name = STS.sessionName(name)
        chain = CredentialChain(client, environment: environment, region: region, limit: limit)
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
        let deadline = Deadline(after: limit)
        let own = try await chain.credentials()
        do {
            return try await assume(role, in: region, with: own, until: deadline)
        } catch let error as AWSError where [.unknownKey, .expired, .signature].contains(error.code) {
            await chain.drop(own)
            let newer = try await chain.credentials()
            // The credentials may have been replaced in their source.
            guard newer != own else { throw error.assuming(role) }
            return try await assume(role, in: region, with: newer, until: deadline)
        } catch let error as AWSError {
            throw error.assuming(role)
        }
    }

    private func assume(
        _ role: AssumableRole, in region: String, with own: AWSCredentials, until deadline: Deadline
    ) async throws -> AWSCredentials {
        var parameters: [(name: String, value: String)] = [
            ("RoleArn", role.arn.description), ("RoleSessionName", name), ("DurationSeconds", "\(STS.lifetime)"),
        ]
        if let externalID = role.externalID { parameters.append(("ExternalId", externalID.reveal())) }
        let call = QueryCall(service: "sts", action: "AssumeRole", version: STS.version, parameters: parameters)
        let issued = try await client.send(call, in: region, with: own, until: deadline, reading: STS.reading)
        return try issued.checked(offset: client.offset(of: call.service, in: region))
    }
}

extension AWSError {
    /// Returns the error with the role in its clause, if the role may be the reason.
    fileprivate func assuming(_ role: AssumableRole) -> AWSError {
        guard code == .denied || code == .refused else { return self }
        let name = role.arn.name.oneLine(80)
        return AWSError(
            code,
            "the role \(name) may not be assumed\(awsCode.map { " (\($0))" } ?? ""): check its trust policy, its "
                + "external ID, and the permission of the bot", awsCode: awsCode)
    }
}
