import AWSClient
import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import InfraModule

/// Reading of the section `infra` and the environment.
@Suite struct SettingsTests {
    private static let role = "arn:aws:iam::111111111111:role/PetrelInspection"

    private static func read(
        _ object: [String: JSONValue], _ environment: [String: String] = [:]
    ) -> (settings: InfraSettings, problems: [String]) {
        let context = SettingsContext(folder: URL(fileURLWithPath: "/"), environment: environment)
        let settings = InfraSettings(SettingsSection(object, at: "infra", in: context))
        return (settings, context.problems.map(\.description))
    }

    @Test func `accounts come from the section and from the environment`() throws {
        let (settings, problems) = Self.read(
            [
                "accounts": [
                    [
                        "name": "prod", "role": .string(Self.role), "regions": ["eu-west-2", "eu-west-2"],
                        "external_id": "x",
                    ]
                ], "timeout": 5, "cache": 0,
            ],
            [
                "AWS_ROLE_STAGING": Self.role, "AWS_REGION_STAGING": "us-east-1, eu-west-1", "AWS_ROLE_DEV": Self.role,
                "AWS_ROLE_ARN": "arn:aws:iam::999999999999:role/own", "AWS_ROLE_SESSION_NAME": "x",
                "AWS_REGION": "eu-west-2",
            ])
        #expect(problems == [])
        #expect(settings.accounts.map(\.name) == ["prod", "DEV", "STAGING"])
        #expect(settings.accounts.map(\.regions) == [["eu-west-2"], ["us-east-1"], ["us-east-1", "eu-west-1"]])
        #expect(settings.accounts[0].role.externalID == Secret("x"))
        #expect(settings.limit == .seconds(5) && settings.cache == .zero)
        // Two accounts with the same role and region are searched once.
        let places = settings.places.map { "\($0.account) \($0.region)" }
        #expect(places == ["prod eu-west-2", "DEV us-east-1", "STAGING eu-west-1"])
        #expect(settings.places.allSatisfy { $0.place.sessionRegion == "eu-west-2" })
    }

    @Test(
        arguments: [
            ([:], [:], "infra.accounts: is required"),
            (["accounts": [["name": "a"]]], [:], "infra.accounts[0].role: is required"),
            (["accounts": [["name": "a", "role": "x"]]], [:], "infra.accounts[0].role: must be the ARN of a role"),
            (
                ["accounts": [["name": "a", "role": .string(role), "regions": ["london"]]]], [:],
                "infra.accounts[0].regions[0]: london does not look like a region"
            ),
            (
                ["accounts": [["name": "a", "role": .string(role), "regions": ["cn-north-1"]]]], [:],
                "infra.accounts[0].regions[0]: cn-north-1 belongs to the partition aws-cn, but the role to aws"
            ),
            (
                ["accounts": [["name": "a", "role": .string(role), "regions": []]]], [:],
                "infra.accounts[0].regions: must not be empty"
            ),
            (["accounts": [["role": .string(role)]]], [:], "infra.accounts[0].name: is required"),
            (
                ["accounts": [["name": "a", "role": .string(role), "region": "x"]]], [:],
                "infra.accounts[0].region: unknown key"
            ),
            (["accounts": [["name": "a", "role": .string(role)]]], ["AWS_ROLE_A": role], "two accounts are named A"),
            ([:], ["AWS_REGION_PROD": "eu-west-2"], "infra.accounts: the account PROD has no role: set AWS_ROLE_PROD"),
            ([:], ["AWS_ROLE_PROD": "x"], "the environment variable AWS_ROLE_PROD must be the ARN of a role"),
            (
                [:], ["AWS_ROLE_PROD": role, "AWS_REGION_PROD": "x"],
                "in the environment variable AWS_REGION_PROD, x does not look"
            ),
            (["timeout": 0], ["AWS_ROLE_PROD": role], "infra.timeout: must be from 1 to 30"),
        ] as [([String: JSONValue], [String: String], String)])
    func `mistakes are named`(object: [String: JSONValue], environment: [String: String], problem: String) {
        let (_, problems) = Self.read(object, environment)
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }
}
