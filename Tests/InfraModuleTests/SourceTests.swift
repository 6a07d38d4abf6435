import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import AWSClient
@testable import InfraModule

/// The sources of the bot's own credentials.
@Suite(.timeLimit(.minutes(30))) struct SourceTests {
    /// Returns the reply to a search, and the calls.
    private static func search(
        _ environment: @Sendable (AWSStandIn, URL) throws -> [String: String]
    ) async throws -> (text: String, calls: [JSONValue]) {
        let result = Locked<(String, [JSONValue])>(("", []))
        try await AWSStandIn.with { standIn in
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("aws-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            var all = try environment(standIn, folder)
            if all["AWS_ENDPOINT_URL"] == nil { all["AWS_ENDPOINT_URL"] = standIn.url }
            // A slow test machine must not cause calls to time out.
            all["AWS_METADATA_SERVICE_TIMEOUT"] = "60"
            let settings = try TestAccounts.settings(
                [("production", "111111111111", ["eu-west-2"])], environment: all)
            try await AWSStandIn.chat(settings) { backend in
                let text = try await backend.ask("infra search 10.0.0.1").text
                let calls = try await standIn.calls()
                result.withLock { $0 = (text, calls) }
            }
        }
        return result.value
    }

    private static let nothing = "No instance matches 10.0.0.1 in 1 account."

    @Test func `a profile of the shared files`() async throws {
        let (text, calls) = try await Self.search { _, folder in
            let file = folder.appendingPathComponent("credentials")
            try Data("[ops]\naws_access_key_id=AKIDHUB\naws_secret_access_key=hub-secret\n".utf8).write(to: file)
            return ["AWS_SHARED_CREDENTIALS_FILE": file.path, "AWS_PROFILE": "ops"]
        }
        #expect(text == Self.nothing)
        #expect(calls.first?["key"] == "AKIDHUB")
    }

    @Test func `a web identity, before the shared files`() async throws {
        let (text, calls) = try await Self.search { _, folder in
            let token = folder.appendingPathComponent("token")
            try Data("web-token\n".utf8).write(to: token)
            return [
                "AWS_WEB_IDENTITY_TOKEN_FILE": token.path, "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/own",
                "AWS_PROFILE": "absent",
            ]
        }
        #expect(text == Self.nothing)
        #expect(calls.map { $0["action"] } == ["AssumeRoleWithWebIdentity", "AssumeRole", "DescribeInstances"])
    }

    @Test func `a container`() async throws {
        let (text, calls) = try await Self.search { standIn, _ in
            [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": standIn.url + "/container",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token",
            ]
        }
        #expect(text == Self.nothing)
        #expect(calls.first?["metadata"] == "GET /container")
    }

    /// Returns the credentials of the service of ECS.
    private static func credentials(_ standIn: AWSStandIn, _ token: String) async throws -> AWSCredentials? {
        let environment = [
            // It has precedence over the other variable.
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": standIn.url + "/absent",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token, "AWS_METADATA_SERVICE_TIMEOUT": "60",
        ]
        let transport = try AWSTransport(environment: [:])
        let metadata = MetadataCredentials(transport, environment, containerService: standIn.url)
        return try await metadata.fromContainer()
    }

    @Test func `a container of ECS, whose service has a fixed address`() async throws {
        try await AWSStandIn.with { standIn in
            for token in ["container-token", "Basic abcd\r\n"] {
                let key = try await Self.credentials(standIn, token)?.accessKeyID
                #expect(key?.hasPrefix("ASIA") == true)
            }
            for token in ["other-token", "Basic", "container-token\nX: y"] {
                await #expect(throws: AWSError.self) { _ = try await Self.credentials(standIn, token) }
            }
            let calls = try await standIn.calls()
            #expect(calls.first?["metadata"] == "GET /container")
        }
    }

    @Test func `an instance, with IMDSv2`() async throws {
        let (text, calls) = try await Self.search { standIn, _ in
            // The metadata service is never reached through a proxy.
            ["AWS_EC2_METADATA_SERVICE_ENDPOINT": standIn.url, "HTTP_PROXY": "", "no_proxy": ""]
        }
        #expect(text == Self.nothing)
        let list = "/latest/meta-data/iam/security-credentials/"
        #expect(
            calls.compactMap { $0["metadata"]?.string }
                == ["PUT /latest/api/token", "GET \(list)", "GET \(list)hub-role"])
    }

    @Test func `the environment, before the others`() async throws {
        let (text, calls) = try await Self.search { standIn, _ in
            standIn.environment.merging(["AWS_WEB_IDENTITY_TOKEN_FILE": "/absent"]) { own, _ in own }
        }
        #expect(text == Self.nothing && calls.first?["key"] == "AKIDHUB")
    }

    @Test(
        arguments: [
            (
                [:],
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or another source of them (AWS_EC2_METADATA_DISABLED is true)"
            ),
            (["AWS_ACCESS_KEY_ID": "A"], "environment: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"),
            (["AWS_PROFILE": "absent"], "shared files: the profile absent of AWS_PROFILE does not exist"),
            (["AWS_WEB_IDENTITY_TOKEN_FILE": "/absent"], "web identity: AWS_ROLE_ARN must be the ARN of a role"),
            (
                ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://203.0.113.1/"],
                "container: AWS_CONTAINER_CREDENTIALS_FULL_URI"
            ),
            (
                ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@example.invalid/x"],
                "container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with “/”"
            ),
            // A connection to such a port would end the program.
            (
                ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:99999/"],
                "container: the metadata service at 127.0.0.1:99999 has no valid address"
            ),
            (
                ["AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "HTTP_PROXY": "http://127.0.0.1:99999"],
                "cannot be reached"
            ),
        ] as [([String: String], String)])
    func `credentials that are missing are explained`(environment: [String: String], reason: String) async throws {
        let (text, _) = try await Self.search { _, _ in
            environment.merging(["AWS_EC2_METADATA_DISABLED": "true"]) { own, _ in own }
        }
        #expect(text.contains(reason), "\(text)")
        #expect(environment["HTTP_PROXY"] != nil || text.contains("there are no credentials: "), "\(text)")
    }

    @Test func `an address that cannot be reached is named`() async throws {
        for (url, reason) in [
            ("http://name.invalid", "the name name.invalid cannot be resolved"),
            ("http://127.0.0.1:1", "127.0.0.1:1 cannot be"),
        ] {
            let (text, _) = try await Self.search { standIn, _ in
                standIn.environment.merging(["AWS_ENDPOINT_URL": url, "NO_PROXY": "*"]) { $1 }
            }
            #expect(text.contains(reason), "\(text)")
        }
    }

    @Test func `TLS through a proxy that requires a password, with a certificate of one's own`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("aws-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let certificate = try await SelfSigned(in: folder)
        try await Proxy.run(in: folder) { proxy in
            let proxies = [proxy.url, proxy.anonymous]
            try await AWSStandIn.with(certificate) { standIn in
                var environment = standIn.environment
                environment["AWS_ENDPOINT_URL"] = standIn.url.replacing("127.0.0.1", with: "localhost")
                for (url, bundle, expected) in [
                    (proxies[0], certificate.certificate, Self.nothing),
                    (
                        proxies[1], certificate.certificate,
                        "the proxy in HTTPS_PROXY requires a user name and a password"
                    ),
                    (proxies[0], "", "the certificate of localhost"),
                ] {
                    environment["HTTPS_PROXY"] = url
                    environment["AWS_CA_BUNDLE"] = bundle
                    let settings = try TestAccounts.settings(
                        [("production", "111111111111", ["eu-west-2"])], environment: environment)
                    try await AWSStandIn.chat(settings) { backend in
                        let text = try await backend.ask("infra search 10.0.0.1").text
                        #expect(text.contains(expected), "\(text)")
                    }
                }
            }
        }
    }

    @Test func `a proxy is used, except for the metadata service`() async throws {
        let (text, calls) = try await Self.search { standIn, _ in
            [
                "HTTP_PROXY": standIn.url, "AWS_ENDPOINT_URL": "http://sts.example.invalid:8080",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": standIn.url,
            ]
        }
        #expect(text == Self.nothing)
        #expect(calls.last?["host"] == "sts.example.invalid:8080")
    }
}
