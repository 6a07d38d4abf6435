import AWSClient

/// The result of a search in all accounts and regions.
struct SearchResult: Sendable {
    /// The accounts and regions that were searched.
    var searched: [InfraPlace] = []
    /// The accounts and regions that could not be searched, in the order of the configuration.
    var failures: [(place: InfraPlace, error: AWSError)] = []
    /// The first instances.
    private(set) var hits: [InfraHit] = []
    /// The number of instances in each account and region.
    private var counts: [AccountRegion: Int] = [:]
    /// The number of all instances.
    var total: Int { counts.values.reduce(0, +) }
    /// True if there are further instances, which were not read because enough are known.
    private(set) var hasMore = false
    /// The age of the results that an earlier search found, and the number of their accounts and regions. It is nil if
    /// everything was searched now.
    var remembered: (age: Duration, places: Int)?

    /// Adds the instances of an account and region.
    mutating func add(_ result: PlaceResult, of place: InfraPlace) {
        searched.append(place)
        counts[place.key, default: 0] += result.count
        hasMore = hasMore || result.hasMore
        let all = hits + result.first.map { InfraHit(instance: $0, place: place) }
        hits = Array(all.sorted { PlaceResult.precedes($0.instance, $1.instance) }.prefix(PlaceResult.most))
    }

    /// Adds the results of other accounts and regions.
    mutating func add(_ other: SearchResult) {
        searched += other.searched
        failures += other.failures
        let known = Set(hits.map { InstanceKey($0) })
        let others = other.hits.filter { !known.contains(InstanceKey($0)) }
        // Two roles of the same account see the same instances.
        counts.merge(other.counts) { max($0, $1) }
        hasMore = hasMore || other.hasMore
        let all = (hits + others).sorted { PlaceResult.precedes($0.instance, $1.instance) }
        hits = Array(all.prefix(PlaceResult.most))
    }
}

/// An instance, whatever role it was seen with.
private struct InstanceKey: Hashable {
    let id: String
    let place: AccountRegion

    init(_ hit: InfraHit) {
        id = hit.instance.id
        place = hit.place.key
    }
}
