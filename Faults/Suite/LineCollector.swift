package import Foundation
import PetrelSupport

/// Collects the lines of a pipe on a separate thread.
package final class LineCollector: Sendable {
    private let handle: FileHandle
    private let lines = Mailbox<String>()
    private let hasBegun = Locked(false)

    package init(_ handle: FileHandle) {
        self.handle = handle
    }

    /// Starts reading. Further calls have no effect.
    package func begin() {
        let isBegun = hasBegun.withLock { hasBegun in
            defer { hasBegun = true }
            return hasBegun
        }
        guard !isBegun else { return }
        Thread.detachNewThread { [handle, lines] in
            // Only new bytes are searched, so that a long line costs no more than short ones.
            var line: [UInt8] = []
            while true {
                let data = handle.availableData
                if data.isEmpty { break }
                var parts = data.split(separator: 10, omittingEmptySubsequences: false)
                let rest = parts.removeLast()
                for part in parts {
                    lines.put(String(decoding: line + part, as: UTF8.self))
                    line = []
                }
                line += rest
            }
            // Handles that are left open add up: the program is started hundreds of times.
            do { try handle.close() } catch { assertionFailure("cannot close a pipe: \(error)") }
            lines.finish()
        }
    }

    /// Returns the next line, or nil at the end of the file.
    package func next() async -> String? {
        begin()
        return await lines.next()
    }

    /// Returns the next line, or nil at the end of the file or if the time limit has passed.
    package func next(within limit: Duration) async -> String? {
        begin()
        return await lines.next(within: limit)
    }
}
