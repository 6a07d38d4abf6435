import Foundation
import PetrelSupport

/// The bot's own credentials, from the first source that has some, in the order of botocore: the environment, the role of
/// a profile, a web identity, the other settings of the profile, the container, the instance
/// (https://docs.aws.amazon.com/boto3/latest/guide/credentials.html).
package final class CredentialChain: Sendable {
    /// Returns credentials. Returns nil if the source is not configured. Throws ``AWSError`` if it is, but does not work.
    typealias Source = @Sendable () async throws -> AWSCredentials?

    private let sources: [(name: String, source: Source)]
    private let cache: CredentialCache<String>

    /// - Parameter programs: The environment of the programs that `credential_process` names.
    init(_ assumption: RoleAssumption, environment: [String: String], programs: [String: String]) {
        let client = assumption.client
        let region = assumption.region
        let offset: @Sendable () throws -> Int64 = { try client.offset(of: "sts", in: region) }
        let metadata = MetadataCredentials(client.transport, environment, offset: offset)
        let program = ProcessCredentials(
            environment: programs, offset: offset,
            now: { client.clock.localSeconds })
        let profile = ProfileCredentials(
            SharedProfiles(environment), assumption, WebIdentity(assumption, environment), program
        ) { source in
            switch source {
            case .environment: try Self.fromEnvironment(environment)
            case .container: try await metadata.fromContainer()
            case .instance: try await metadata.fromInstance()
            }
        }
        sources = [
            ("environment", { try Self.fromEnvironment(environment) }),
            ("role of a profile", { try await profile.fromRole() }),
            ("web identity", { try await profile.fromWebIdentity() }),
            ("shared files", { try await profile.fromProfile() }),
            ("container", { try await metadata.fromContainer() }),
            ("instance metadata", { try await metadata.fromInstance() }),
        ]
        let clock = client.clock
        cache = CredentialCache { clock.localSeconds }
    }

    /// Returns the credentials. Throws ``AWSError`` if no source has credentials, or if the first one does not work.
    func credentials() async throws -> AWSCredentials {
        try await cache.credentials(for: "") { [sources] in
            var last = ""
            for (name, source) in sources {
                do {
                    if let found = try await source() { return found }
                } catch let absence as MetadataCredentials.Absence {
                    last = " (\(absence.reason))"
                } catch let error as AWSError {
                    throw AWSError(.noCredentials, "there are no credentials: \(name): \(error.clause)")
                }
            }
            throw AWSError(
                .noCredentials,
                "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of them\(last)"
            )
        }
    }

    /// Reads the credentials again at the next call, because AWS has rejected them.
    func drop(_ rejected: AWSCredentials) async { await cache.drop(rejected, for: "") }

    static func fromEnvironment(_ environment: [String: String]) throws -> AWSCredentials? {
        func value(_ names: String...) throws -> String? {
            for name in names {
                // A file with variables may have lines that end with CR LF.
                let words = (environment[name] ?? "").words
                guard words.count <= 1 else { throw AWSError(.noCredentials, "\(name) contains white space") }
                if let word = words.first { return word }
            }
            return nil
        }
        // The second names are those of older SDKs, which slash-infra accepts as well.
        let key = try value("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")
        let secret = try value("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")
        switch (key, secret) {
        case (let key?, let secret?):
            return AWSCredentials(
                accessKeyID: key, secretAccessKey: Secret(secret),
                sessionToken: try value("AWS_SESSION_TOKEN").map { Secret($0) })
        case (nil, nil): return nil
        case (nil, _): throw AWSError(.noCredentials, "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not")
        case (_, nil): throw AWSError(.noCredentials, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not")
        }
    }
}
