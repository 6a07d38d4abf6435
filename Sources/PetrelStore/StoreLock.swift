import Foundation

/// One process per store: an advisory lock on a file beside it, which the system drops when the process ends.
final class StoreLock: Sendable {
    private let descriptor: Int32

    init(path: String) throws(StoreFailure) {
        descriptor = try OwnFile.open(path, O_RDWR | O_CREAT)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw StoreFailure(
                path: String(path.dropLast(".lock".count)),
                message: "is held by another Petrel: only one may use a store. Stop that one first.")
        }
    }

    /// Lets another process have the store.
    func release() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }
}
