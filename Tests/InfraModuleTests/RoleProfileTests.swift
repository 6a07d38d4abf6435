import AWSClient
import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule

/// Profiles of the shared files that assume a role, with a simulated STS.
@Suite(.timeLimit(.minutes(30))) struct RoleProfileTests {
    /// Returns the calls of a search with this configuration file, in which `FOLDER` has the file `token`.
    private static func calls(
        _ config: String, rules: JSONValue = [:], _ more: [String: String] = [:]
    ) async throws -> [JSONValue] {
        let result = Locked<[JSONValue]>([])
        try await AWSStandIn.with { standIn in
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("aws-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let file = folder.appendingPathComponent("config")
            try Data(config.replacing("FOLDER", with: folder.path).utf8).write(to: file)
            try Data("web-token".utf8).write(to: folder.appendingPathComponent("token"))
            var environment = [
                "AWS_CONFIG_FILE": file.path, "AWS_SHARED_CREDENTIALS_FILE": "/absent", "AWS_ENDPOINT_URL": standIn.url,
                "AWS_EC2_METADATA_DISABLED": "true", "AWS_METADATA_SERVICE_TIMEOUT": "60",
            ]
            environment.merge(more.mapValues { $0.replacing("URL", with: standIn.url) }) { $1 }
            try await standIn.order(rules)
            let settings = try TestAccounts.settings(
                [("production", "111111111111", ["eu-west-2"])], environment: environment)
            try await AWSStandIn.chat(settings) { backend in
                let text = try await backend.ask("infra search 10.0.0.1").text
                #expect(text == "No instance matches 10.0.0.1 in 1 account.", "\(text)")
                let calls = try await standIn.calls()
                result.withLock { $0 = calls }
            }
        }
        return result.value
    }

    private static let hub = "aws_access_key_id = AKIDHUB\naws_secret_access_key = hub-secret\n"

    private static func arn(_ account: Int) -> String { "arn:aws:iam::\(account):role/own" }

    private static func roles(_ calls: [JSONValue]) -> [String] { calls.compactMap { $0["form"]?["RoleArn"]?.string } }

    private static let inspection = "arn:aws:iam::111111111111:role/PetrelInspection"

    @Test func `a role with the access key of another profile`() async throws {
        let role = Self.arn(123_456_789_012)
        let calls = try await Self.calls(
            """
            [default]
            role_arn = \(role)
            source_profile = hub
            external_id = word
            role_session_name = ops team
            duration_seconds = 900
            [profile hub]
            \(Self.hub)
            """, rules: ["external": .object([role: "word"])])
        #expect(Self.roles(calls) == [role, Self.inspection])
        let form = try #require(calls.first?["form"])
        #expect(form["ExternalId"] == "word" && form["DurationSeconds"] == "900")
        #expect(form["RoleSessionName"] == "ops-team" && calls.first?["key"] == "AKIDHUB")
        // The role assumes the role of the account.
        #expect(calls[1]["account"] == "123456789012" && calls[1]["form"]?["RoleSessionName"] == "petrel")
    }

    @Test func `a chain of profiles, the last of which is its own source`() async throws {
        let calls = try await Self.calls(
            """
            [default]
            role_arn = \(Self.arn(100_000_000_001))
            source_profile = b
            [profile b]
            role_arn = \(Self.arn(100_000_000_002))
            source_profile = c
            [profile c]
            role_arn = \(Self.arn(100_000_000_003))
            source_profile = d
            [profile d]
            \(Self.hub)
            """)
        #expect(
            Self.roles(calls)
                == [100_000_000_003, 100_000_000_002, 100_000_000_001].map(Self.arn) + [Self.inspection])
        let own = try await Self.calls(
            "[default]\nrole_arn = \(Self.arn(100_000_000_001))\nsource_profile = default\n\(Self.hub)")
        #expect(Self.roles(own) == [Self.arn(100_000_000_001), Self.inspection])
    }

    @Test func `a role with the credentials of the container, before a web identity`() async throws {
        let calls = try await Self.calls(
            "[profile x]\nrole_arn = \(Self.arn(100_000_000_001))\ncredential_source = EcsContainer\n",
            [
                "AWS_PROFILE": "x", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token", "AWS_WEB_IDENTITY_TOKEN_FILE": "/absent",
                "AWS_ROLE_ARN": Self.arn(100_000_000_009),
            ])
        #expect(calls.first?["metadata"] == "GET /container")
        #expect(Self.roles(calls) == [Self.arn(100_000_000_001), Self.inspection])
    }

    @Test func `a web identity of a profile, and of a source profile`() async throws {
        let identity = "role_arn = \(Self.arn(100_000_000_001))\nweb_identity_token_file = FOLDER/token\n"
        var calls = try await Self.calls("[default]\n\(identity)role_session_name = eks\n")
        #expect(calls.first?["action"] == "AssumeRoleWithWebIdentity")
        #expect(calls.first?["form"]?["RoleSessionName"] == "eks")
        #expect(Self.roles(calls) == [Self.arn(100_000_000_001), Self.inspection])
        // The environment has precedence, but not for a source profile.
        calls = try await Self.calls("[default]\n\(identity)", ["AWS_ROLE_ARN": Self.arn(100_000_000_002)])
        #expect(Self.roles(calls).first == Self.arn(100_000_000_002))
        calls = try await Self.calls(
            "[default]\nrole_arn = \(Self.arn(100_000_000_003))\nsource_profile = x\n[profile x]\n\(identity)",
            ["AWS_ROLE_ARN": Self.arn(100_000_000_002)])
        #expect(
            Self.roles(calls) == [Self.arn(100_000_000_001), Self.arn(100_000_000_003), Self.inspection])
    }

    @Test func `a role with the credentials that a program prints`() async throws {
        let calls = try await Self.calls(
            """
            [default]
            role_arn = \(Self.arn(100_000_000_001))
            source_profile = x
            [profile x]
            credential_process = /bin/echo '{"Version": 1, "AccessKeyId": "AKIDHUB", "SecretAccessKey": "hub-secret"}'
            """)
        #expect(Self.roles(calls) == [Self.arn(100_000_000_001), Self.inspection])
    }
}
