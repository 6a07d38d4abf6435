public import PetrelKit
package import PetrelStore

/// A store for tests, gone with the process. Two hosts, one after the other, may share it as if one was restarted.
public final class TestStore: Sendable {
    package let store: Store

    public init() throws {
        store = try Store()
    }

    /// Takes over a store that was opened elsewhere.
    package init(_ store: Store) {
        self.store = store
    }

    /// The space of one module.
    public func storage(for module: String) -> any Storage { store.storage(for: module) }
}
