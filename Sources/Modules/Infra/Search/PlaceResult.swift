import AWSClient

/// An instance, and the account and region in which it was found.
struct InfraHit: Sendable, Hashable {
    var instance: Instance
    var place: InfraPlace
}

/// The instances that a search found in one account and region. Only those that can be shown are kept.
struct PlaceResult: Sendable {
    /// The maximum number of instances that are shown.
    static let most = 20

    /// The first instances by name and ID.
    private(set) var first: [Instance] = []
    /// The IDs of all instances that were found, so that no instance counts twice.
    private var ids: Set<String> = []

    /// The number of all instances.
    var count: Int { ids.count }
    /// True if there are further instances, which were not read because enough are known.
    var hasMore = false

    /// Adds an instance. Returns false if it was added before.
    @discardableResult
    mutating func add(_ instance: Instance) -> Bool {
        guard ids.insert(instance.id).inserted else { return false }
        let place = first.firstIndex { Self.precedes(instance, $0) } ?? first.endIndex
        guard place < Self.most else { return true }
        first.insert(instance, at: place)
        if first.count > Self.most { first.removeLast() }
        return true
    }

    /// Adds the instances of another search in the same account and region.
    mutating func merge(_ other: PlaceResult) {
        for instance in other.first { add(instance) }
        ids.formUnion(other.ids)
        hasMore = hasMore || other.hasMore
    }

    /// Returns true if an instance is listed before another: by name, those without a name last, and then by ID.
    static func precedes(_ left: Instance, _ right: Instance) -> Bool {
        switch (left.name, right.name) {
        case (let a?, let b?) where a != b: NaturalOrder.precedes(a, b)
        case (_?, nil): true
        case (nil, _?): false
        default: left.id < right.id
        }
    }
}
