import Dispatch
import Foundation
import PetrelSupport

/// Notices changes in folders: at once where the system reports them, and otherwise by looking at intervals.
final class FolderWatch: Sendable {
    /// The time after which folders are looked at if nothing was reported, because network file systems report nothing.
    private static let idle = Duration.seconds(30)
    /// The time after which folders are looked at if the system reports no changes.
    private static let polling = Duration.seconds(2)

    private struct State: Sendable {
        var change = Signal()
        var watched: [String: Int32] = [:]
        var isComplete = true
    }

    private let state = Locked(State())
    private let descriptor: Int32
    /// It may be used by any thread, which the module Dispatch does not declare.
    private nonisolated(unsafe) let source: (any DispatchSourceRead)?

    /// - Parameter asksSystem: False to look at intervals only, as on a system that reports no changes.
    init(asksSystem: Bool = true) {
        #if os(Linux)
            descriptor = asksSystem ? inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC)) : -1
        #else
            descriptor = -1
        #endif
        guard descriptor >= 0 else {
            source = nil
            return
        }
        let descriptor = descriptor
        let source = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "petrel.scripts"))
        self.source = source
        source.setEventHandler { [state] in
            // The events are not looked at: any of them is a reason to look at the folders.
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while read(descriptor, &buffer, buffer.count) > 0 {}
            state.value.change.open()
        }
        source.setCancelHandler { _ = close(descriptor) }
        source.activate()
    }

    deinit { source?.cancel() }

    /// True if the system reports the changes of all folders.
    var isNotified: Bool { descriptor >= 0 && state.withLock { $0.isComplete } }

    /// Returns a signal that is opened with the next change from now on.
    func next() -> Signal {
        state.withLock { state in
            state.change = Signal()
            return state.change
        }
    }

    /// Opens the signal, as a change does.
    func wake() { state.value.change.open() }

    /// Watches these folders, and no others.
    func watch(_ folders: [String]) {
        #if os(Linux)
            guard descriptor >= 0 else { return }
            let mask = UInt32(
                IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF
                    | IN_MOVE_SELF)
            state.withLock { state in
                let wanted = Set(folders)
                // Folders that were replaced by others of the same name get a new watch.
                var watched: [String: Int32] = [:]
                for folder in wanted { watched[folder] = inotify_add_watch(descriptor, folder, mask) }
                let current = Set(watched.values)
                for number in Set(state.watched.values) where number >= 0 && !current.contains(number) {
                    _ = inotify_rm_watch(descriptor, number)
                }
                state.watched = watched
                state.isComplete = !watched.isEmpty && !current.contains(-1)
            }
        #endif
    }

    /// Waits for a change, for some time at most, or until the task is cancelled.
    func wait(for change: Signal) async {
        await Signal.wait(for: change, atMost: isNotified ? Self.idle : Self.polling)
    }
}
