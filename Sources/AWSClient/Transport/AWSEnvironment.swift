import Foundation

/// The environment variables of AWS's SDKs that are checked when the program starts.
package enum AWSEnvironment {
    private static let endpoints = [
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_EC2", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    ]

    /// Returns a clause about each variable that probably does not work.
    package static func warnings(_ environment: [String: String]) -> [String] {
        let hasOther = ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE"].contains { name in
            environment[name]?.isEmpty == false
        }
        let profiles = SharedProfiles(environment)
        guard !hasOther, let name = profiles.selected else { return [] }
        do {
            guard try profiles.profile(name) == nil else { return [] }
            return ["the profile \(name.oneLine(60)) of AWS_PROFILE does not exist"]
        } catch {
            return ["\(error)"]
        }
    }

    private static let regions = ["AWS_REGION", "AWS_DEFAULT_REGION"]

    /// Returns a clause about each variable that cannot work.
    package static func problems(_ environment: [String: String]) -> [String] {
        var problems: [String] = []
        for name in endpoints {
            guard let url = environment[name], !url.isEmpty, AWSEndpoints.parsed(url) == nil else { continue }
            problems.append("the environment variable \(name) must be \(AWSEndpoints.requirement)")
        }
        for name in regions {
            guard let region = environment[name], !region.isEmpty, !AWSPartition.isRegion(region) else { continue }
            problems.append("the environment variable \(name) does not look like a region, such as eu-west-2")
        }
        do {
            _ = try CredentialChain.fromEnvironment(environment)
        } catch {
            problems.append("\(error)")
        }
        do {
            _ = try AWSTransport.tls(environment["AWS_CA_BUNDLE"])
        } catch {
            problems.append("\(error)")
        }
        return problems
    }

    /// Returns the variables without white space at the ends of those of AWS, such as the CR of a file from Windows or
    /// the line end of a secret, and with `HOME`.
    package static func prepared(_ environment: [String: String]) -> [String: String] {
        var environment = withHome(environment)
        for (name, value) in environment where name.utf8.starts(with: "AWS_".utf8) {
            environment[name] = value.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return environment
    }

    /// Returns the variables with `HOME` of the account that runs the program, if it is missing or empty, as in a system
    /// service. AWS's SDKs look for the shared files there as well.
    package static func withHome(_ environment: [String: String]) -> [String: String] {
        guard environment["HOME"]?.isEmpty != false, let home = homeOfAccount() else { return environment }
        return environment.merging(["HOME": home]) { $1 }
    }

    /// Returns the home directory in the database of users. Returns nil if that does not have the account.
    private static func homeOfAccount() -> String? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 1 << 14)
        guard getpwuid_r(geteuid(), &entry, &buffer, buffer.count, &found) == 0, found != nil,
            let home = entry.pw_dir, home.pointee != 0
        else { return nil }
        return String(cString: home)
    }
}
