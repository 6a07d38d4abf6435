import Foundation
import PetrelSupport

/// The bot's own credentials, from the first source that has some, in the order of AWS's SDKs: the environment, a web
/// identity, the shared files, the container, the instance.
package final class CredentialChain: Sendable {
    /// Returns credentials; nil if the source is not configured. Throws ``AWSError`` if it is, but does not work.
    typealias Source = @Sendable () async throws -> AWSCredentials?

    private let sources: [(name: String, source: Source)]
    private let cache: CredentialCache<String>

    init(_ client: QueryClient, environment: [String: String], region: String, limit: Duration) {
        let metadata = MetadataCredentials(client.transport, environment)
        let identity = WebIdentity(client, environment, region: region, limit: limit)
        sources = [
            ("environment", { try Self.fromEnvironment(environment) }),
            ("web identity", { try await identity.fetch() }),
            ("shared credentials file", { try SharedProfile(environment).credentials() }),
            ("container", { try await metadata.fromContainer() }),
            ("instance metadata", { try await metadata.fromInstance() }),
        ]
        let clock = client.clock
        cache = CredentialCache { clock.localSeconds }
    }

    /// Returns the credentials. Throws ``AWSError`` if there are none.
    func credentials() async throws -> AWSCredentials {
        try await cache.credentials(for: "") { [sources] in
            for (name, source) in sources {
                do {
                    if let found = try await source() { return found }
                } catch let error as AWSError {
                    throw AWSError(.noCredentials, "there are no credentials: \(name): \(error.clause)")
                }
            }
            throw AWSError(
                .noCredentials,
                "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of them")
        }
    }

    /// Reads the credentials again at the next call, because AWS has rejected them.
    func drop(_ rejected: AWSCredentials) async { await cache.drop(rejected, for: "") }

    private static func fromEnvironment(_ environment: [String: String]) throws -> AWSCredentials? {
        func value(_ names: String...) -> String? {
            names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        // The second names are those of older SDKs, which slash-infra accepts as well.
        let key = value("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")
        let secret = value("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")
        switch (key, secret) {
        case (let key?, let secret?):
            return AWSCredentials(
                accessKeyID: key, secretAccessKey: Secret(secret),
                sessionToken: value("AWS_SESSION_TOKEN").map { Secret($0) })
        case (nil, nil): return nil
        case (nil, _): throw AWSError(.noCredentials, "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not")
        case (_, nil): throw AWSError(.noCredentials, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not")
        }
    }
}
