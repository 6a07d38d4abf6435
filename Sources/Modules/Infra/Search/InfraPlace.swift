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

    /// The region of the environment; nil if there is none.
    var ownRegion: String? {
        ["AWS_REGION", "AWS_DEFAULT_REGION"].lazy.compactMap { environment[$0] }.first { AWSPartition.isRegion($0) }
    }

    /// The region whose STS issues the sessions of an account: that of the environment, as for AWS's SDKs, or else the
    /// first region of the account.
    private func sessionRegion(of account: InfraAccount) -> String {
        if let own = ownRegion, AWSPartition.of(region: own) == account.role.arn.partition { return own }
        return account.regions.first ?? Self.defaultRegion
    }
}
