import Dispatch
import Foundation

/// The reports of the system about changes in folders (inotify).
final class FolderReports: Sendable {
    private let descriptor: Int32
    /// It may be used by any thread, which the module Dispatch does not declare.
    private nonisolated(unsafe) let source: any DispatchSourceRead

    /// Asks the system for reports. Throws the reason for which it gives none.
    /// - Parameter changed: A closure that is called after each change.
    init(_ changed: @escaping @Sendable () -> Void) throws(FolderWatch.Failure) {
        #if os(Linux)
            descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        #else
            descriptor = -1
            errno = ENOSYS
        #endif
        guard descriptor >= 0 else { throw FolderWatch.Failure(errno) }
        let descriptor = descriptor
        source = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "petrel.scripts"))
        source.setEventHandler {
            // The events are not looked at: any of them is a reason to look at the folders.
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while read(descriptor, &buffer, buffer.count) > 0 {}
            changed()
        }
        source.setCancelHandler { _ = close(descriptor) }
        source.activate()
    }

    deinit { source.cancel() }

    /// Watches a folder, and returns the number of the watch, which is the same for the same folder.
    func add(_ folder: String) throws(FolderWatch.Failure) -> Int32 {
        #if os(Linux)
            let mask = UInt32(
                IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF
                    | IN_MOVE_SELF)
            let number = inotify_add_watch(descriptor, folder, mask)
        #else
            let number: Int32 = -1
        #endif
        guard number >= 0 else { throw FolderWatch.Failure(errno) }
        return number
    }

    /// Ends a watch, unless it ended with its folder.
    func remove(_ number: Int32) {
        #if os(Linux)
            _ = inotify_rm_watch(descriptor, number)
        #endif
    }
}
