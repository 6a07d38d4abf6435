import AWSClient
import PetrelKit
import PetrelSupport

/// The accounts of the environment variables `AWS_ROLE_<ALIAS>` and `AWS_REGION_<ALIAS>`, as slash-infra has them.
struct EnvironmentAccounts {
    /// Variables of AWS's own SDKs that begin like those of an account.
    private static let foreign: Set = ["AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"]
    private static let role = "AWS_ROLE_"
    private static let region = "AWS_REGION_"

    /// The accounts, in the order of their names.
    private(set) var accounts: [InfraAccount] = []
    /// True if the environment has no variables of accounts.
    let isEmpty: Bool

    /// Reads the environment, and reports problems to the section.
    init(_ environment: [String: String], _ section: SettingsSection) {
        let aliases = environment.keys.filter { !Self.foreign.contains($0) }
            .compactMap { Self.alias($0, after: Self.role) ?? Self.alias($0, after: Self.region) }
        isEmpty = aliases.isEmpty
        for alias in aliases.unique.sorted() {
            let role = environment[Self.role + alias] ?? ""
            guard !role.isBlank else {
                let reason = "the account \(Printable.name(alias)) has no role: set \(Self.role)\(alias)"
                section.problem("accounts", reason)
                continue
            }
            guard let arn = RoleARN(role) else {
                section.problem("accounts", "the environment variable \(Self.role)\(alias) \(InfraAccount.noARN)")
                continue
            }
            let names = Self.list(environment[Self.region + alias] ?? "")
            if names.isEmpty, let problem = InfraAccount.problemWithoutRegions(arn) {
                section.problem("accounts", "the environment variable \(Self.region)\(alias) \(problem)")
                continue
            }
            let regions = names.isEmpty ? [InfraSettings.defaultRegion] : names
            for region in regions {
                guard let problem = InfraAccount.problem(of: region, in: arn) else { continue }
                section.problem("accounts", "in the environment variable \(Self.region)\(alias), \(problem)")
            }
            accounts.append(InfraAccount(name: alias, role: AssumableRole(arn: arn), regions: regions))
        }
    }

    private static func alias(_ name: String, after prefix: String) -> String? {
        guard name.utf8.starts(with: prefix.utf8), name.utf8.count > prefix.utf8.count else { return nil }
        return String(decoding: name.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
    }

    private static func list(_ text: String) -> [String] {
        text.unicodeScalars.split { $0 == "," || $0.isSeparator }.map { String(String.UnicodeScalarView($0)) }.unique
    }
}
