package import AWSClient
import Foundation
package import PetrelKit
import PetrelSupport

/// An account of AWS that is searched.
package struct InfraAccount: Sendable, Hashable {
    /// The name, for people.
    package var name: String
    /// The role that the bot assumes in the account.
    package var role: AssumableRole
    /// The regions that are searched.
    package var regions: [String]

    /// Creates an account.
    package init(name: String, role: AssumableRole, regions: [String]) {
        self.name = name
        self.role = role
        self.regions = regions
    }
}

/// The settings of the section `infra`.
package struct InfraSettings: Sendable {
    /// The accounts, in the order of the configuration.
    package var accounts: [InfraAccount]
    /// The time limit for each account and region (`timeout`).
    package var limit = Duration.seconds(3)
    /// The maximum age of results that are shown again (`cache`).
    package var cache = Duration.seconds(60)
    /// The time after which a search without an answer is announced.
    package var patience = Duration.milliseconds(700)
    /// The environment variables for the credentials, the endpoints and the proxies.
    package var environment: [String: String]
    /// The environment of programs that print credentials (`credential_process`).
    package var programEnvironment: [String: String]

    /// Creates settings.
    package init(accounts: [InfraAccount], environment: [String: String]) {
        self.accounts = accounts
        self.environment = environment
        programEnvironment = environment
    }

    /// The maximum number of accounts, and of pairs of an account and a region.
    static let mostAccounts = 1_000
    static let mostPlaces = 5_000
    /// The region of accounts without regions.
    static let defaultRegion = "us-east-1"

    /// Reads a section and the environment variables `AWS_ROLE_…` and `AWS_REGION_…`.
    package init(_ section: SettingsSection) {
        environment = AWSEnvironment.prepared(section.environment)
        programEnvironment = section.environmentForPrograms
        let listed = section.list("accounts", of: "accounts")
        let named = EnvironmentAccounts(environment, section)
        accounts = listed.compactMap { InfraAccount($0.1) } + named.accounts
        if listed.isEmpty, named.isEmpty {
            let state = section.contains("accounts") ? "must not be empty" : "is required"
            section.problem("accounts", "\(state), unless there are environment variables AWS_ROLE_NAME")
        }
        for problem in AWSEnvironment.problems(environment) { section.problem("accounts", problem) }
        for warning in AWSEnvironment.warnings(environment) { section.warn("accounts", warning) }
        limit = .seconds(section.integer("timeout", default: 3, in: 1...30))
        cache = .seconds(section.integer("cache", default: 60, in: 0...60))
        review(section)
        section.finish()
    }

    private func review(_ section: SettingsSection) {
        var names: Set<String> = []
        for account in accounts where !names.insert(account.name.lowercased()).inserted {
            section.problem("accounts", "two accounts are named \(Printable.name(account.name))")
        }
        warnOfDuplicates(section)
        if accounts.count > Self.mostAccounts || accounts.reduce(0, { $0 + $1.regions.count }) > Self.mostPlaces {
            section.problem(
                "accounts", "there can be \(Self.mostAccounts) accounts, and \(Self.mostPlaces) regions of all together"
            )
        }
    }
}

extension InfraSettings {
    /// Warns of accounts of the configuration that lead to the same account of AWS.
    private func warnOfDuplicates(_ section: SettingsSection) {
        var known: [AccountRegion: InfraAccount] = [:]
        var warned: Set<String> = []
        for account in accounts {
            for region in account.regions {
                let key = AccountRegion(role: account.role.arn, region: region)
                guard let first = known.updateValue(known[key] ?? account, forKey: key),
                    warned.insert(account.name).inserted
                else { continue }
                let same = first.role == account.role ? "the same role" : "roles of the same AWS account"
                section.warn(
                    "accounts",
                    "the accounts \(Printable.name(first.name)) and \(Printable.name(account.name)) have \(same) in "
                        + "\(region): its instances are shown under the first name")
            }
        }
    }
}

extension InfraAccount {
    /// Reads an item of `accounts`. Returns nil after a problem.
    fileprivate init?(_ section: SettingsSection) {
        defer { section.finish() }
        let name = section.requiredString("name")
        let role = section.contains("role") ? section.string("role", default: "") : nil
        let hasRegions = section.contains("regions")
        let regions = section.strings("regions", default: [InfraSettings.defaultRegion])
        // A file ends with a line end.
        let externalID = section.secret("external_id").map {
            Secret($0.reveal().trimmingCharacters(in: .whitespacesAndNewlines))
        }
        if let problem = Self.problem(ofName: name) { section.problem("name", problem) }
        guard let role else {
            section.problem("role", "is required: the account \(Printable.name(name)) has no role")
            return nil
        }
        guard let arn = RoleARN(role) else {
            section.problem("role", Self.noARN)
            return nil
        }
        if let externalID, !Self.isExternalID(externalID) {
            section.problem(
                "external_id", "must consist of 2 to 1224 letters, digits and the characters _ + = , . @ : / -")
        }
        if !hasRegions, let problem = Self.problemWithoutRegions(arn) { section.problem("regions", problem) }
        for (index, region) in regions.enumerated() where hasRegions {
            if let problem = Self.problem(of: region, in: arn) { section.problem("regions[\(index)]", problem) }
        }
        if regions.isEmpty { section.problem("regions", "must not be empty") }
        self.init(name: name, role: AssumableRole(arn: arn, externalID: externalID), regions: regions.unique)
    }

    static let noARN = "must be the ARN of a role, such as arn:aws:iam::123456789012:role/PetrelInspection"

    /// Returns true if STS accepts an external ID
    /// (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
    private static func isExternalID(_ id: Secret) -> Bool {
        let text = id.reveal()
        return (2...1_224).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "_+=,.@:/-".utf8.contains(byte)
                }
            }
    }

    /// Returns the problem of a name. Returns nil if the name is valid.
    private static func problem(ofName name: String) -> String? {
        guard !name.isEmpty else { return nil }
        let isGood =
            name.utf8.count <= 64 && !name.isBlank
            && name.unicodeScalars.allSatisfy { !$0.isTreacherous && !$0.isInvisible }
        return isGood ? nil : "must have at most 64 bytes, a visible character, and no control characters"
    }

    /// Returns the problem of an account without regions. Returns nil if it can have the default region.
    static func problemWithoutRegions(_ role: RoleARN) -> String? {
        guard problem(of: InfraSettings.defaultRegion, in: role) != nil else { return nil }
        return "is required, because the role belongs to the partition \(role.partition.name)"
    }

    /// Returns the problem of a region. Returns nil if the region is valid.
    static func problem(of region: String, in role: RoleARN) -> String? {
        guard AWSPartition.isRegion(region) else {
            return "\(Printable.name(region)) does not look like a region, such as eu-west-2"
        }
        let partition = AWSPartition.of(region: region)
        guard partition != role.partition else { return nil }
        return "\(region) belongs to the partition \(partition.name), but the role to \(role.partition.name)"
    }
}

extension [String] {
    /// The texts without those that occur before.
    var unique: [String] {
        var seen: Set<String> = []
        return filter { seen.insert($0).inserted }
    }
}
