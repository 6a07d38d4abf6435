import PetrelKit
import PetrelSupport

/// The requests that each address has in progress, as a value.
struct OpenRequests {
    private let most: Int
    private var counts: [String: Int] = [:]

    init(most: Int) {
        self.most = most
    }

    /// Returns whether the address may have one more.
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
