import Foundation
import PetrelSupport

/// Credentials for the token of an identity provider, as EKS mounts it into pods.
struct WebIdentity: Sendable {
    private let client: QueryClient
    private let environment: [String: String]
    private let region: String
    private let limit: Duration

    init(_ client: QueryClient, _ environment: [String: String], region: String, limit: Duration) {
        self.client = client
        self.environment = environment
        self.region = region
        self.limit = limit
    }

    /// Returns the credentials; nil if `AWS_WEB_IDENTITY_TOKEN_FILE` is not set.
    func fetch() async throws -> AWSCredentials? {
        guard let file = environment["AWS_WEB_IDENTITY_TOKEN_FILE"], !file.isEmpty else { return nil }
        guard let role = environment["AWS_ROLE_ARN"], RoleARN(role) != nil else {
            throw AWSError(.noCredentials, "AWS_ROLE_ARN must be the ARN of a role, for AWS_WEB_IDENTITY_TOKEN_FILE")
        }
        // The token is replaced while the process runs.
        let token = try SecretFile.text(file, "AWS_WEB_IDENTITY_TOKEN_FILE")
        let session = environment["AWS_ROLE_SESSION_NAME"].flatMap { $0.isEmpty ? nil : $0 } ?? "petrel"
        let call = QueryCall(
            service: "sts", action: "AssumeRoleWithWebIdentity", version: STS.version,
            parameters: [
                ("RoleArn", role), ("RoleSessionName", STS.sessionName(session)), ("WebIdentityToken", token),
            ])
        let issued = try await client.send(
            call, in: region, with: nil, until: Deadline(after: limit), reading: STS.reading)
        return try issued.checked(offset: client.offset(of: call.service, in: region))
    }
}
