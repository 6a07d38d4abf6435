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
                        "external_id": "x1\n",
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
        #expect(settings.accounts[0].role.externalID == Secret("x1"))
        #expect(settings.limit == .seconds(5) && settings.cache == .zero)
        // Two accounts with the same role and region are searched once.
        let places = settings.places.map { "\($0.account) \($0.region)" }
        #expect(places == ["prod eu-west-2", "DEV us-east-1", "STAGING eu-west-1"])
        #expect(settings.places.allSatisfy { $0.place.sessionRegion == "eu-west-2" })
    }

    @Test func `a profile that does not exist is a warning`() {
        func warnings(_ more: [String: String]) -> [String] {
            let environment = ["AWS_ROLE_A": Self.role, "HOME": "/absent"].merging(more) { $1 }
            let context = SettingsContext(folder: URL(fileURLWithPath: "/"), environment: environment)
            _ = InfraSettings(SettingsSection([:], at: "infra", in: context))
            return context.warnings.map(\.message)
        }
        #expect(warnings(["AWS_PROFILE": "nope\r"]) == ["the profile nope of AWS_PROFILE does not exist"])
        #expect(warnings([:]) == [] && warnings(["AWS_PROFILE": "nope", "AWS_ACCESS_KEY_ID": "A"]) == [])
    }

    @Test func `variables of AWS may end with white space`() throws {
        let (settings, problems) = Self.read([:], ["AWS_ROLE_A": Self.role + "\r", "AWS_REGION": "eu-west-2\r\n"])
        #expect(problems == [] && settings.accounts.map(\.name) == ["A"])
        #expect(settings.places.first?.place.sessionRegion == "eu-west-2")
    }

    @Test(
        arguments: [
            ([:], [:], "infra.accounts: is required, unless"),
            (["accounts": []], [:], "infra.accounts: must not be empty, unless"),
            ([:], ["AWS_ROLE_A": role, "AWS_CA_BUNDLE": "/absent"], "AWS_CA_BUNDLE: /absent cannot be read as PEM"),
            (
                [:], ["AWS_ROLE_A": role, "AWS_ENDPOINT_URL_EC2": "ftp://x"],
                "the environment variable AWS_ENDPOINT_URL_EC2 must be an http:// or https:// address"
            ),
            (
                [:], ["AWS_ROLE_A": role, "AWS_ENDPOINT_URL": "http://127.0.0.1:99999"],
                "AWS_ENDPOINT_URL must be an http:// or https:// address without a user, a query and a fragment, and with a"
            ),
            (
                [:], ["AWS_ROLE_A": role, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:0"],
                "AWS_EC2_METADATA_SERVICE_ENDPOINT must be an http:// or https:// address"
            ),
            (
                [:], ["AWS_ROLE_A": "arn:aws-cn:iam::111111111111:role/x"],
                "the environment variable AWS_REGION_A is required, because the role belongs to the partition aws-cn"
            ),
            (
                ["accounts": [["name": "a", "role": "arn:aws-us-gov:iam::111111111111:role/x"]]], [:],
                "infra.accounts[0].regions: is required, because the role belongs to the partition aws-us-gov"
            ),
            (
                ["accounts": [["name": "a", "role": .string(role), "external_id": ""]]], [:],
                "infra.accounts[0].external_id: must consist of 2 to 1224 letters"
            ),
            (
                ["accounts": [["name": "a", "role": .string(role), "external_id": "a b"]]], [:],
                "infra.accounts[0].external_id: must consist of 2 to 1224 letters"
            ),
            ([:], ["AWS_ROLE_A": role, "AWS_REGION": "mars"], "AWS_REGION does not look like a region"),
            (
                [:], ["AWS_ROLE_A": role, "AWS_ACCESS_KEY_ID": "A"],
                "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"
            ),
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
        // Each mistake is one problem.
        #expect(problems.count == 1 && problems[0].contains(problem), "\(problems)")
    }

    @Test func `roles of the same account and region are a warning`() {
        let context = SettingsContext(folder: URL(fileURLWithPath: "/"), environment: [:])
        func account(_ name: String, _ role: String) -> JSONValue {
            ["name": .string(name), "role": .string("arn:aws:iam::111111111111:role/\(role)")]
        }
        let accounts: JSONValue = [account("a", "One"), account("b", "One"), account("c", "Two")]
        _ = InfraSettings(SettingsSection(["accounts": accounts], at: "infra", in: context))
        #expect(
            context.warnings.map(\.message) == [
                "the accounts a and b have the same role in us-east-1: its instances are shown under the first name",
                "the accounts a and c have roles of the same AWS account in us-east-1: its instances are shown under the "
                    + "first name",
            ])
    }

    @Test(
        arguments: [
            ([:], "aws", ["af-south-1", "eu-west-1"], "eu-west-1"), ([:], "aws", ["af-south-1"], "us-east-1"),
            ([:], "aws-cn", ["cn-northwest-1"], "cn-northwest-1"),
            ([:], "aws-us-gov", ["us-gov-east-1"], "us-gov-east-1"),
            (["AWS_REGION": "af-south-1"], "aws", ["eu-west-1"], "af-south-1"),
            (["AWS_DEFAULT_REGION": "eu-west-3"], "aws", ["eu-west-1"], "eu-west-3"),
            (["AWS_REGION": "eu-west-3"], "aws-cn", ["cn-north-1"], "cn-north-1"),
            ([:], "aws-eusc", ["eusc-de-east-1"], "eusc-de-east-1"),
        ] as [([String: String], String, [String], String)])
    func `sessions come from a region that is enabled in every account`(
        environment: [String: String], partition: String, regions: [String], expected: String
    ) throws {
        let arn = try #require(RoleARN("arn:\(partition):iam::111111111111:role/x"))
        let account = InfraAccount(name: "a", role: AssumableRole(arn: arn), regions: regions)
        let settings = InfraSettings(accounts: [account], environment: environment)
        #expect(settings.places.allSatisfy { $0.place.sessionRegion == expected })
    }
}
