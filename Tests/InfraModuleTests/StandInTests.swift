import AWSClient
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule

/// The module with a simulated STS and EC2 that verifies signatures.
@Suite(.timeLimit(.minutes(30))) struct StandInTests {
    private static let id = "i-0123456789abcdef0"
    private static let found: JSONValue = [
        "account": "111111111111", "region": "eu-west-2", "filters": ["instance-id": .string(id)],
        "body": AWSStandIn.answer(AWSStandIn.instance(id)),
    ]

    /// Settings without memory, so that each search asks.
    private static func settings(
        _ environment: [String: String], _ change: (inout InfraSettings) -> Void = { _ in }
    ) throws -> InfraSettings {
        var settings = try TestAccounts.two(environment)
        settings.cache = .zero
        change(&settings)
        return settings
    }

    @Test func `a search finds an instance, with one session for each role`() async throws {
        try await AWSStandIn.with { standIn in
            try await standIn.order(["answers": [Self.found]])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                for _ in 0..<2 {
                    let reply = try await backend.ask("infra search \(Self.id)")
                    #expect(reply.text.hasPrefix("web-1 (\(Self.id)) is a running t3.micro in eu-west-2a\n"))
                    #expect(!reply.text.contains("Not searched"))
                }
            }
            let calls = try await standIn.calls()
            #expect(calls.filter { $0["action"] == "AssumeRole" }.count == 2)
            #expect(calls.filter { $0["action"] == "DescribeInstances" }.count == 6)
            #expect(calls.allSatisfy { $0["refused"] == nil })
            let session = calls.first { $0["action"] == "AssumeRole" }?["form"]
            #expect(session?["RoleSessionName"] == "petrel" && session?["DurationSeconds"] == "3600")
        }
    }

    @Test(arguments: [
        ("10.2.3.5", "network-interface.addresses.private-ip-address"), ("203.0.113.9", "ip-address"),
        ("203.0.113.9", "network-interface.addresses.association.public-ip"),
        ("198.51.100.7", "network-interface.addresses.private-ip-address"),
        ("2001:db8::9", "network-interface.ipv6-addresses.ipv6-address"),
    ]) func `addresses of every interface are found`(address: String, filter: String) async throws {
        let interface = """
            <networkInterfaceSet><item><privateIpAddressesSet><item><privateIpAddress>10.2.3.4</privateIpAddress></item>
            <item><privateIpAddress>10.2.3.5</privateIpAddress><association><publicIp>203.0.113.9</publicIp></association>
            </item></privateIpAddressesSet><ipv6AddressesSet><item><ipv6Address>2001:db8::9</ipv6Address></item>
            </ipv6AddressesSet></item></networkInterfaceSet>
            """
        try await AWSStandIn.with { standIn in
            var answer = Self.found.object ?? [:]
            answer["filters"] = .object([filter: .string(address)])
            answer["body"] = AWSStandIn.answer(AWSStandIn.instance(Self.id, interface))
            try await standIn.order(["answers": [.object(answer)]])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                let reply = try await backend.ask("infra search \(address)")
                #expect(reply.text.contains("Private: 10.2.3.4, 10.2.3.5\nPublic: 203.0.113.9\nIPv6: 2001:db8::9\n"))
            }
        }
    }

    @Test func `pages are followed`() async throws {
        try await AWSStandIn.with { standIn in
            let filters: JSONValue = ["tag:Name": "web*"]
            try await standIn.order([
                "answers": [
                    [
                        "account": "*", "region": "eu-west-2", "filters": filters,
                        "body": AWSStandIn.answer(AWSStandIn.instance("i-00000001"), next: "a+/= b"),
                    ],
                    [
                        "account": "*", "region": "eu-west-2", "filters": filters, "token": "a+/= b",
                        "body": AWSStandIn.answer(AWSStandIn.instance("i-00000002"), AWSStandIn.instance("i-00000003")),
                    ],
                ]
            ])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                let text = try await backend.ask("infra search web*").text
                #expect(text.hasPrefix("3 instances\n"))
            }
        }
    }

    @Test func `no further page is read if enough instances are known`() async throws {
        try await AWSStandIn.with { standIn in
            let many = (0..<1_000).map { AWSStandIn.instance("i-\(String($0 + 0x1000_0000, radix: 16))") }
            try await standIn.order([
                "answers": [
                    [
                        "account": "*", "region": "eu-west-2", "filters": ["tag:Name": "web*"],
                        "body": AWSStandIn.answer(many, next: "more"),
                    ]
                ]
            ])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                let text = try await backend.ask("infra search web*").text
                #expect(text.hasPrefix("More than 1000 instances\n"), "\(text.prefix(200))")
                let calls = try await standIn.calls().filter { $0["action"] == "DescribeInstances" }
                #expect(calls.count == 3 && calls.allSatisfy { $0["form"]?["MaxResults"] == "250" })
            }
        }
    }

    @Test func `odd regions are named, and the rest is shown in time`() async throws {
        let regions = ["eu-west-2", "eu-west-1", "eu-central-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"]
        // A machine that stands still may exceed the first limit for all regions.
        var (text, isExpected) = ("", false)
        for limit in [30, 200] where !isExpected {
            text = try await Self.answer(about: regions, within: .seconds(limit))
            let failures = Set(
                text.components(separatedBy: "Not searched:\n").last?.components(separatedBy: "\n") ?? [])
            let lost = failures.filter { $0.contains("(us-west-1): ") }
            isExpected =
                text.hasPrefix("web-1 (\(Self.id))") && lost.count == 1
                && failures.subtracting(lost) == [
                    "• production (eu-west-1): EC2 gave no complete answer within \(limit).0 s",
                    "• production (eu-central-1): the answer of EC2 is not XML, but text/html",
                    "• production (us-east-1): EC2 limits the rate of calls (RequestLimitExceeded)",
                    "• production (us-east-2): the answer exceeds 8 MB",
                ]
        }
        #expect(isExpected, "\(text)")
    }

    /// Returns the answer to a search in regions with faults.
    private static func answer(about regions: [String], within limit: Duration) async throws -> String {
        let text = Locked("")
        try await AWSStandIn.with { standIn in
            try await standIn.order([
                "answers": [Self.found],
                "faults": [
                    "eu-west-1": "hang", "eu-central-1": "html", "us-east-1": "throttle", "us-east-2": "huge",
                    "us-west-1": "drop", "us-west-2": "throttle once",
                ],
            ])
            var settings = try TestAccounts.settings(
                [("production", "111111111111", regions)], environment: standIn.environment)
            settings.limit = limit
            try await AWSStandIn.chat(settings) { backend in
                let reply = try await backend.ask("infra search \(Self.id)").text
                text.withLock { $0 = reply }
            }
        }
        return text.value
    }

    @Test func `a session that is no longer valid is renewed, and one that expires soon as well`() async throws {
        try await AWSStandIn.with { standIn in
            try await standIn.order(["answers": [Self.found]])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                _ = try await backend.ask("infra search \(Self.id)")
                try await standIn.order(["revoked": true, "lifetime": 200])
                _ = try await standIn.calls()
                let reply = try await backend.ask("infra search \(Self.id)")
                #expect(reply.text.hasPrefix("web-1") && !reply.text.contains("Not searched"))
                let refused = try await standIn.calls().compactMap { $0["refused"]?.string }
                #expect(Set(refused) == ["AuthFailure"])
                // These sessions are in their last minutes. They are renewed while they are used, also if STS hangs.
                try await standIn.order(["faults": ["sts": "hang"]])
                _ = try await standIn.calls()
                let text = try await backend.ask("infra search \(Self.id)").text
                #expect(text.hasPrefix("web-1") && !text.contains("Not searched"), "\(text)")
                var calls: [JSONValue] = []
                while !calls.contains(where: { $0["action"] == "AssumeRole" }) { calls += try await standIn.calls() }
                #expect(calls.allSatisfy { $0["refused"] == nil })
            }
        }
    }

    @Test(arguments: [("reject", 1), ("opt-in", 0)])
    func `a region that is not enabled does not renew the session at every search`(
        fault: String, renewals: Int
    ) async throws {
        try await AWSStandIn.with { standIn in
            try await standIn.order(["answers": [Self.found], "faults": ["eu-west-1": .string(fault)]])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                for _ in 0..<3 {
                    let text = try await backend.ask("infra search \(Self.id)").text
                    #expect(text.hasPrefix("web-1") && text.contains("• staging (eu-west-1): "))
                    #expect(text.contains("enabled in the account"))
                }
            }
            let calls = try await standIn.calls()
            #expect(calls.filter { $0["action"] == "AssumeRole" }.count == 2 + renewals)
            #expect(
                calls.filter { $0["region"] == "eu-west-1" && $0["action"] == "DescribeInstances" }.count == 3
                    + renewals)
        }
    }

    @Test func `after a good answer, a rejected session is renewed again`() async throws {
        try await AWSStandIn.with { standIn in
            try await standIn.order(["answers": [Self.found], "faults": ["eu-west-1": "reject"]])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                #expect(try await backend.ask("infra search \(Self.id)").text.contains("• staging (eu-west-1): "))
                try await standIn.order(["faults": [:]])
                #expect(try await !backend.ask("infra search \(Self.id)").text.contains("Not searched"))
                try await standIn.order(["revoked": true])
                let text = try await backend.ask("infra search \(Self.id)").text
                #expect(text.hasPrefix("web-1") && !text.contains("Not searched"), "\(text)")
            }
        }
    }

    @Test func `the page of a proxy does not set the clock`() async throws {
        try await AWSStandIn.with { standIn in
            try await standIn.order(["faults": ["eu-west-2": "html", "us-east-1": "html", "eu-west-1": "html"]])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                _ = try await backend.ask("infra search \(Self.id)")
                try await standIn.order(["date": 100_000])
                let text = try await backend.ask("infra search \(Self.id)").text
                #expect(text.contains("is not XML, but text/html"), "\(text)")
                #expect(try await !backend.ask("infra accounts").text.contains("The clock of this machine"))
            }
        }
    }

    @Test(arguments: [3_600, -7_200]) func `a clock that is off is corrected, and said`(skew: Int) async throws {
        let warnings = Locked<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingLogHandler { line in warnings.withLock { $0.append(line) } }
        }
        try await AWSStandIn.with { standIn in
            try await standIn.order(["answers": [Self.found], "skew": .integer(skew)])
            try await AWSStandIn.chat(Self.settings(standIn.environment), logger: logger) { backend in
                let reply = try await backend.ask("infra search \(Self.id)")
                #expect(reply.text.hasPrefix("web-1") && !reply.text.contains("Not searched"))
                let words = skew > 0 ? "59 min behind" : "h ahead of"
                let either = skew > 0 ? "1 h behind" : "1 h 59 min ahead of"
                let accounts = try await backend.ask("infra accounts").text
                #expect(accounts.contains(words) || accounts.contains(either))
                #expect(warnings.value.contains { $0.contains("The clock of this machine is") })
            }
        }
    }

    @Test func `refused roles are named, and the others are searched`() async throws {
        let role = "arn:aws:iam::222222222222:role/PetrelInspection"
        try await AWSStandIn.with { standIn in
            try await standIn.order(["answers": [Self.found], "external": .object([role: "petrel-1"])])
            try await AWSStandIn.chat(Self.settings(standIn.environment)) { backend in
                let reply = try await backend.ask("infra search \(Self.id)")
                #expect(reply.text.hasPrefix("web-1"))
                let failure =
                    "• staging (us-east-1, eu-west-1): the role PetrelInspection may not be assumed (AccessDenied)"
                #expect(reply.text.contains(failure))
            }
            let known = try Self.settings(standIn.environment) { $0.accounts[1].role.externalID = Secret("petrel-1") }
            try await AWSStandIn.chat(known) { backend in
                let text = try await backend.ask("infra search \(Self.id)").text
                #expect(!text.contains("Not searched"))
            }
        }
    }

    @Test func `no reply and no log line contains a secret`() async throws {
        let lines = Locked<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingLogHandler { line in lines.withLock { $0.append(line) } } }
        try await AWSStandIn.with { standIn in
            try await standIn.order(["answers": [Self.found], "skew": 1_000])
            for secret in ["hub-secret", "wrong-secret"] {
                var environment = standIn.environment
                environment["AWS_SECRET_ACCESS_KEY"] = secret
                try await AWSStandIn.chat(Self.settings(environment), logger: logger) { backend in
                    for line in ["infra search \(Self.id)", "infra accounts", "status"] {
                        let text = try await backend.ask(line).text
                        lines.withLock { $0.append(text) }
                    }
                }
            }
        }
        let text = lines.value.joined(separator: "\n")
        #expect(text.contains("STS does not accept the signature (SignatureDoesNotMatch): check the secret access key"))
        for secret in ["hub-secret", "wrong-secret", "secret-", "token/+", "Signature="] {
            #expect(!text.contains(secret), "\(secret)")
        }
    }
}
