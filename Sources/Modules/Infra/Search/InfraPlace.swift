import AWSClient

/// An account and one of its regions.
struct InfraPlace: Sendable, Hashable {
    /// The name of the account.
    var account: String
    /// The role and the region.
    var place: EC2.Place

    var region: String { place.region }
    var role: RoleARN { place.role.arn }
}

/// An account of AWS and one of its regions, whatever role leads there.
struct AccountRegion: Sendable, Hashable {
    /// The partition and the twelve digits of the account.
    var account: String
    var region: String

    init(role: RoleARN, region: String) {
        account = "\(role.partition.name):\(role.account)"
        self.region = region
    }
}

extension InfraPlace {
    /// The account of AWS and the region.
    var key: AccountRegion { AccountRegion(role: role, region: region) }
}

extension InfraSettings {
    /// The accounts and regions to search. Several accounts may have the same role, but each of its regions is searched
    /// once.
    var places: [InfraPlace] {
        var seen: Set<EC2.Place> = []
        return accounts.flatMap { account in
            account.regions.map { region in
                let sessions = sessionRegion(of: account)
                return InfraPlace(
                    account: account.name,
                    place: EC2.Place(role: account.role, region: region, sessionRegion: sessions))
            }
        }.filter { place in
            var key = place.place
            key.sessionRegion = ""
            return seen.insert(key).inserted
        }
    }

    /// The region that the environment sets; nil if it does not set one.
    var ownRegion: String? {
        ["AWS_REGION", "AWS_DEFAULT_REGION"].lazy.compactMap { environment[$0] }.first { AWSPartition.isRegion($0) }
    }

    /// The region whose STS issues the sessions of an account: that of the environment, as for AWS's SDKs, or else the
    /// first region of the account that is enabled in every account. STS of another region does not know the bot's keys
    /// unless the region is enabled in the bot's own account.
    private func sessionRegion(of account: InfraAccount) -> String {
        let partition = account.role.arn.partition
        if let own = ownRegion, AWSPartition.of(region: own) == partition { return own }
        return account.regions.first { partition.isEnabledByDefault($0) } ?? partition.defaultRegion
            ?? account.regions.first ?? Self.defaultRegion
    }

    /// The region whose STS issues the bot's own credentials: that of the environment, or else the one that issues the
    /// sessions of the first account.
    var chainRegion: String { ownRegion ?? accounts.first.map { sessionRegion(of: $0) } ?? Self.defaultRegion }
}
