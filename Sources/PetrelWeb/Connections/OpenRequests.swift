import PetrelKit
import PetrelSupport

/// The numbers of requests in progress, by client address.
struct OpenRequests {
    private let most: Int
    private var counts: [String: Int] = [:]

    init(most: Int) {
        self.most = most
    }

    /// Counts a new request. Returns false if the address has reached its limit.
    mutating func begin(_ address: String) -> Bool {
        let key = IPNetwork.key(of: address)
        guard counts[key, default: 0] < most else { return false }
        counts[key, default: 0] += 1
        return true
    }

    mutating func end(_ address: String) {
        let key = IPNetwork.key(of: address)
        let left = counts[key, default: 0] - 1
        counts[key] = left > 0 ? left : nil
    }
}
