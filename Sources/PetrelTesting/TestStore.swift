public import PetrelKit
package import PetrelStore

/// A store in memory. Two consecutive hosts can share it to simulate a restart.
public final class TestStore: Sendable {
    package let store: Store

    /// Creates an empty store.
    public init() throws {
        store = try Store()
    }

    /// Wraps a store that was opened elsewhere.
    package init(_ store: Store) {
        self.store = store
    }

    /// Returns the storage of a module.
    public func storage(for module: String) -> any Storage { store.storage(for: module) }
}
