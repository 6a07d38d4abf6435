import AWSClient
import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule

/// The module with moto as STS and EC2, which verifies signatures and evaluates policies.
@Suite(.timeLimit(.minutes(30)), .serialized) struct MotoTests {
    private struct World: Sendable {
        var facts: JSONValue
        var program: Program

        /// Makes all sessions invalid.
        func forgetSessions() async {
            program.type("forget")
            _ = await program.line(with: "forgotten")
        }

        /// Returns a fact about an instance.
        func fact(_ instance: String, _ name: String) -> String { facts[instance]?[name]?.string ?? "?" }

        func settings(_ change: ([String: String]) -> [String: String] = { $0 }) throws -> InfraSettings {
            let environment = [
                "AWS_ENDPOINT_URL": facts["url"]?.string ?? "", "AWS_ACCESS_KEY_ID": facts["key"]?.string ?? "",
                "AWS_SECRET_ACCESS_KEY": facts["secret"]?.string ?? "",
            ]
            var settings = try TestAccounts.settings(
                [
                    ("production", "111111111111", ["eu-west-2"]), ("staging", "222222222222", ["us-east-1"]),
                    ("development", "333333333333", ["eu-west-1", "us-east-1"]),
                    ("locked", "444444444444", ["us-east-1"]),
                ], environment: change(environment))
            settings.cache = .zero
            return settings
        }
    }

    private static func with(_ body: @Sendable (World) async throws -> Void) async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("moto_world.py")
        let program = try await Program([script.path], of: PythonTools.path(of: "python3"))
        let line = try #require(await program.line(with: "\"url\""))
        defer { program.signal(SIGKILL) }
        try await body(World(facts: try JSONValue.parse(line.utf8), program: program))
    }

    @Test func `every form of query finds its instances, and the role without permission is named`() async throws {
        try await Self.with { world in
            let cases: [(String, [String])] = [
                (world.fact("web", "id"), ["web-1"]),
                ("10.2.3.4", ["Jenkins master", "db-1", "old-1", "web-1", "web-2"]),
                (world.fact("web", "secondary") + " web-1", ["web-1"]), (world.fact("db", "other") + " db*", ["db-1"]),
                (world.fact("web", "public"), ["web-1"]), (world.fact("web", "six"), ["web-1"]),
                (world.fact("web", "private_name"), ["web-1", "web-2"]), (world.fact("web", "public_name"), ["web-1"]),
                ("web-1", ["web-1"]), ("name:web*", ["web-1", "web-2"]), ("tag:Role=db", ["db-1"]),
                ("tag:Role=web*", ["web-1", "web-2"]), ("tag:Role=web* state:stopped", ["web-2"]),
                ("web* *-1", ["web-1"]), ("10.2.3.4 state:terminated", ["old-1"]),
                ("*-1 ami:\(world.fact("db", "image")) type:t3.micro az:\(world.fact("db", "zone"))", ["db-1"]),
                ("name:\"Jenkins master\"", ["Jenkins master"]), ("tag:\"Team=b*c\"", ["Jenkins master"]),
                ("i-0123456789abcdef0", []),
            ]
            try await AWSStandIn.chat(world.settings()) { backend in
                for (query, names) in cases {
                    let text = try await backend.ask("infra search \(query)").text
                    let all = ["Jenkins master", "db-1", "old-1", "web-1", "web-2"].filter {
                        text.contains("\($0) (i-") || text.contains("\($0) · i-")
                    }
                    #expect(all == names, "\(query): \(text)")
                    #expect(
                        text.contains("• locked (us-east-1): EC2 denies access (AccessDenied): the policy of the role"))
                    #expect(text.components(separatedBy: "\n• ").filter { $0.contains("): ") }.count == 1, "\(text)")
                }
            }
        }
    }

    @Test func `a wrong secret and a role that may not be assumed are told`() async throws {
        try await Self.with { world in
            var settings = try world.settings { environment in
                environment.merging(["AWS_SECRET_ACCESS_KEY": "wrong"]) { $1 }
            }
            try await AWSStandIn.chat(settings) { backend in
                let text = try await backend.ask("infra search web*").text
                #expect(text.contains("STS does not accept the signature (SignatureDoesNotMatch)"))
            }
            settings = try world.settings()
            let other = try TestAccounts.settings([("other", "555555555555", ["us-east-1"])])
            settings.accounts = [settings.accounts[0], other.accounts[0]]
            settings.accounts[1].role.arn = try #require(RoleARN("arn:aws:iam::555555555555:role/Other"))
            try await AWSStandIn.chat(settings) { backend in
                let text = try await backend.ask("infra search web-1").text
                #expect(text.hasPrefix("web-1 (i-"))
                #expect(text.contains("• other (us-east-1): the role Other may not be assumed (AccessDenied)"))
            }
        }
    }

    @Test func `a profile assumes a role, which assumes the roles of the accounts`() async throws {
        try await Self.with { world in
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("aws-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let (config, credentials) = (folder.appendingPathComponent("config"), folder.appendingPathComponent("keys"))
            try Data(
                """
                [profile petrel]
                role_arn = arn:aws:iam::123456789012:role/PetrelHub
                source_profile = other
                """.utf8
            ).write(to: config)
            let key = world.facts["other_key"]?.string ?? "?"
            let secret = world.facts["other_secret"]?.string ?? "?"
            try Data("[other]\naws_access_key_id=\(key)\naws_secret_access_key=\(secret)\n".utf8).write(to: credentials)
            for (profile, finds) in [("petrel", true), ("other", false)] {
                let settings = try world.settings { environment in
                    [
                        "AWS_ENDPOINT_URL": environment["AWS_ENDPOINT_URL"] ?? "", "AWS_PROFILE": profile,
                        "AWS_CONFIG_FILE": config.path, "AWS_SHARED_CREDENTIALS_FILE": credentials.path,
                        "AWS_EC2_METADATA_DISABLED": "true",
                    ]
                }
                try await AWSStandIn.chat(settings) { backend in
                    let text = try await backend.ask("infra search web-1").text
                    #expect(text.hasPrefix("web-1 (i-") == finds, "\(text)")
                    // The user itself may assume none of the roles of the accounts.
                    #expect(text.contains("All 4 accounts: the role PetrelInspection may not be assumed") != finds)
                }
            }
        }
    }

    @Test func `sessions that are no longer valid are renewed`() async throws {
        try await Self.with { world in
            var settings = try world.settings()
            settings.accounts.removeLast()
            try await AWSStandIn.chat(settings) { backend in
                for _ in 0..<2 {
                    let text = try await backend.ask("infra search web-1").text
                    #expect(text.hasPrefix("web-1 (i-") && !text.contains("Not searched"), "\(text)")
                    await world.forgetSessions()
                }
            }
        }
    }

    @Test(arguments: [-3_600.0, 86_400.0 * 400]) func `a clock that is off is corrected`(skew: Double) async throws {
        try await Self.with { world in
            let now: @Sendable () -> Date = { Date.now.addingTimeInterval(skew) }
            try await AWSStandIn.chat(world.settings(), now: now) { backend in
                #expect(try await backend.ask("infra search web-1").text.hasPrefix("web-1 (i-"))
                let accounts = try await backend.ask("infra accounts").text
                let note = accounts.components(separatedBy: "\n").last ?? ""
                #expect(note.hasPrefix("The clock of this machine is "))
                #expect(
                    note.contains(skew > 0 ? " d 23 h ahead of" : "h behind")
                        || note.contains(skew > 0 ? "400 d ahead of" : "59 min behind"))
            }
        }
    }
}
