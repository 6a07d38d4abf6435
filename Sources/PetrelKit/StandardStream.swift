import Foundation

/// Standard output or standard error, whole texts at a time.
public struct StandardStream: Sendable {
    public static let output = StandardStream(descriptor: STDOUT_FILENO)
    public static let error = StandardStream(descriptor: STDERR_FILENO)

    private let descriptor: Int32
    private let turn = Locked(())

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// False when nobody reads any more or the disk is full; the text is then lost, and the process goes on.
    @discardableResult
    public func write(_ text: String) -> Bool {
        turn.withLock { _ in
            var bytes = Array(text.utf8)[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
                if count > 0 {
                    bytes = bytes.dropFirst(count)
                } else if errno == EAGAIN {
                    var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&ready, 1, 1_000)
                } else if errno != EINTR {
                    return false
                }
            }
            return true
        }
    }
}
