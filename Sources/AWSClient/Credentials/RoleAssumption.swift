import PetrelSupport

/// A session of a role that is to be created.
struct RoleRequest: Sendable, Hashable {
    /// The role.
    var role: AssumableRole
    /// The name of the session, which CloudTrail shows; nil for the default.
    var session: String?
    /// The lifetime of the session, in seconds.
    var lifetime = STS.lifetime
}

/// The calls that create sessions of roles.
struct RoleAssumption: Sendable {
    let client: QueryClient
    /// The name of sessions whose request has no name.
    let session: String
    /// The region whose STS is called, unless a call names another one.
    let region: String
    /// The time limit of a call.
    let limit: Duration

    /// Creates a session with credentials that may assume the role.
    func credentials(
        of request: RoleRequest, with own: AWSCredentials, in other: String? = nil
    ) async throws -> AWSCredentials {
        var parameters: [(name: String, value: String)] = [
            ("RoleArn", request.role.arn.description),
            ("RoleSessionName", STS.sessionName(request.session ?? session)),
            ("DurationSeconds", "\(request.lifetime)"),
        ]
        if let externalID = request.role.externalID { parameters.append(("ExternalId", externalID.reveal())) }
        do {
            return try await issued("AssumeRole", parameters, with: own, in: other ?? region)
        } catch let error as AWSError {
            throw error.assuming(request.role)
        }
    }

    /// Creates a session with the token of an identity provider.
    func credentials(of role: RoleARN, session name: String?, token: String) async throws -> AWSCredentials {
        try await issued(
            "AssumeRoleWithWebIdentity",
            [
                ("RoleArn", role.description), ("RoleSessionName", STS.sessionName(name ?? session)),
                ("WebIdentityToken", token),
            ], with: nil, in: region)
    }

    private func issued(
        _ action: String, _ parameters: [(name: String, value: String)], with own: AWSCredentials?, in region: String
    ) async throws -> AWSCredentials {
        let call = QueryCall(service: "sts", action: action, version: STS.version, parameters: parameters)
        let issued = try await client.send(
            call, in: region, with: own, until: Deadline(after: limit), reading: STS.reading)
        return try issued.checked(offset: client.offset(of: call.service, in: region))
    }
}

extension AWSError {
    /// Returns the error with the role in its clause, if the role may be the reason.
    func assuming(_ role: AssumableRole) -> AWSError {
        // An answer without a code, such as that of a proxy, says nothing about the role.
        guard code == .denied || code == .refused, awsCode != nil else { return self }
        let name = role.arn.name.oneLine(80)
        return AWSError(
            code,
            "the role \(name) may not be assumed\(awsCode.map { " (\($0))" } ?? ""): check its trust policy, its "
                + "external ID, and the permission of the bot", awsCode: awsCode)
    }
}
