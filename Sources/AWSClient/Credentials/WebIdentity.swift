import PetrelSupport

/// Credentials for the token of an identity provider, as EKS mounts it into pods.
struct WebIdentity: Sendable {
    private let assumption: RoleAssumption
    private let environment: [String: String]

    init(_ assumption: RoleAssumption, _ environment: [String: String]) {
        self.assumption = assumption
        self.environment = environment
    }

    /// Returns the credentials for the token file of the environment or of a profile. Returns nil if neither names one.
    /// - Parameter readsEnvironment: True if the variables of the environment have precedence over the profile; false if
    ///   they do not count, because the profile is the source of another one.
    func fetch(_ profile: SharedProfile?, orEnvironment readsEnvironment: Bool) async throws -> AWSCredentials? {
        func value(_ variable: String, _ setting: String) -> (text: String, name: String)? {
            if readsEnvironment, let text = environment[variable], !text.isEmpty { return (text, variable) }
            guard let profile, let text = profile[setting] else { return nil }
            return (text, "\(setting) of the profile \(profile.name.oneLine(60))")
        }
        guard let file = value("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file") else { return nil }
        let role = value("AWS_ROLE_ARN", "role_arn")
        guard let role, let arn = RoleARN(role.text) else {
            throw AWSError(
                .noCredentials, "\(role?.name ?? "AWS_ROLE_ARN") must be the ARN of a role, for \(file.name)")
        }
        // The token is replaced while the process runs.
        let token = try SecretFile.text(file.text, file.name)
        let session = value("AWS_ROLE_SESSION_NAME", "role_session_name")?.text
        return try await assumption.credentials(of: arn, session: session, token: token)
    }
}
