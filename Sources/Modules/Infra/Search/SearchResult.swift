import AWSClient

/// The result of a search in all accounts and regions.
struct SearchResult: Sendable {
    /// The accounts and regions that were searched.
    var searched: [InfraPlace] = []
    /// The accounts and regions that could not be searched, in the order of the configuration.
    var failures: [(place: InfraPlace, error: AWSError)] = []
    /// The first instances.
    private(set) var hits: [InfraHit] = []
    /// The number of all instances.
    private(set) var total = 0
    /// The age of the results that an earlier search found, and the number of their accounts and regions.
    var remembered: (age: Duration, places: Int)?

    /// Adds the instances of an account and region.
    mutating func add(_ result: PlaceResult, of place: InfraPlace) {
        searched.append(place)
        total += result.count
        let all = hits + result.first.map { InfraHit(instance: $0, place: place) }
        hits = Array(all.sorted { PlaceResult.precedes($0.instance, $1.instance) }.prefix(PlaceResult.most))
    }

    /// Adds the results of other accounts and regions.
    mutating func add(_ other: SearchResult) {
        searched += other.searched
        failures += other.failures
        total += other.total
        let all = (hits + other.hits).sorted { PlaceResult.precedes($0.instance, $1.instance) }
        hits = Array(all.prefix(PlaceResult.most))
    }
}
