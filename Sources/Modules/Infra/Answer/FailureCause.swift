import AWSClient

/// A reason for which accounts could not be searched, and these accounts with their regions.
struct FailureCause: Sendable {
    /// The maximum number of accounts that are named for one reason.
    private static let mostAccounts = 3

    /// The reason, as a clause.
    let clause: String
    /// The accounts, in the order of the configuration.
    private(set) var accounts: [(name: String, regions: [String])] = []

    /// Returns the reasons of failures, in the order in which they occur first.
    static func grouped(_ failures: [(place: InfraPlace, error: AWSError)]) -> [FailureCause] {
        var causes: [FailureCause] = []
        var places: [String: Int] = [:]
        for (place, error) in failures {
            let index = places[error.clause] ?? causes.count
            if index == causes.count {
                causes.append(FailureCause(clause: error.clause))
                places[error.clause] = index
            }
            causes[index].add(place)
        }
        return causes
    }

    private mutating func add(_ place: InfraPlace) {
        // The places of an account follow each other.
        if let last = accounts.last, last.name == place.account {
            accounts[accounts.count - 1].regions.append(place.region)
        } else {
            accounts.append((place.account, [place.region]))
        }
    }

    /// Returns the names of the accounts with their regions, or the number of accounts if they are all that exist.
    func subject(_ style: InfraStyle, isEverything: Bool) -> String {
        if isEverything, accounts.count > 1 { return "All \(accounts.count) accounts" }
        let shown = accounts.prefix(Self.mostAccounts).map { account in
            "\(style.bold(account.name)) (\(account.regions.joined(separator: ", ")))"
        }
        let more = accounts.count - shown.count
        let names = shown.joined(separator: ", ")
        return more > 0 ? "\(names) and \(InfraAnswer.count(more, "more account"))" : names
    }
}
