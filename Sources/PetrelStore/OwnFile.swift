import Foundation

/// A function to open the files that belong to the store. It rejects symbolic links, which could point to other files.
enum OwnFile {
    /// Opens a file and returns its descriptor. Throws if the path is a symbolic link, neither a regular file nor a
    /// character device, or cannot be opened.
    static func open(_ path: String, _ flags: Int32) throws(StoreFailure) -> Int32 {
        // O_NONBLOCK: opening a pipe would wait for the other end.
        let descriptor = Foundation.open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let why =
                errno == ELOOP
                ? "is a symbolic link, which Petrel does not follow: remove it"
                : "cannot be opened: \(String(cString: strerror(errno)))"
            throw StoreFailure(path: path, message: why)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, [S_IFREG, S_IFCHR].contains(status.st_mode & S_IFMT) else {
            close(descriptor)
            throw StoreFailure(path: path, message: "is neither a regular file nor a character device")
        }
        return descriptor
    }
}
