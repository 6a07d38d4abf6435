import Foundation

/// Files that belong to the store alone, which are opened under their own names: a link in their place is refused.
enum OwnFile {
    /// - Returns: the descriptor. Throws where it cannot be opened, is a link, or is neither a file nor a device.
    static func open(_ path: String, _ flags: Int32) throws(StoreFailure) -> Int32 {
        // Not waiting for the other end, where it is a pipe.
        let descriptor = Foundation.open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let why =
                errno == ELOOP
                ? "is a symbolic link, which is not followed: remove it"
                : "cannot be opened: \(String(cString: strerror(errno)))"
            throw StoreFailure(path: path, message: why)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, [S_IFREG, S_IFCHR].contains(status.st_mode & S_IFMT) else {
            close(descriptor)
            throw StoreFailure(path: path, message: "is neither a file nor a device")
        }
        return descriptor
    }
}
