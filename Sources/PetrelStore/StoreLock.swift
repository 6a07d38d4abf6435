import Foundation

/// An advisory lock that limits a store to one process. The system releases it when the process ends.
final class StoreLock: Sendable {
    private let descriptor: Int32

    init(path: String) throws(StoreFailure) {
        descriptor = try OwnFile.open(path, O_RDWR | O_CREAT)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw StoreFailure(
                path: String(path.dropLast(".lock".count)),
                message: "is in use by another Petrel process: stop that process first")
        }
    }

    /// Releases the lock, so that another process can use the store.
    func release() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }
}
