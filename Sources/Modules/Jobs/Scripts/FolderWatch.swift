import Dispatch
import Foundation
import PetrelSupport

/// Notices changes in folders: at once where the system reports them, and otherwise by looking at intervals. Folders that
/// do not exist yet are looked for at intervals.
final class FolderWatch: Sendable {
    /// The reason for which the system reports no changes.
    struct Failure: Error {
        /// The error number.
        let code: Int32

        init(_ code: Int32) { self.code = code }

        /// The reason, as a clause.
        var description: String {
            switch code {
            case EMFILE: "fs.inotify.max_user_instances or the limit for open files is reached"
            case ENOSPC: "fs.inotify.max_user_watches is reached"
            default: String(cString: strerror(code))
            }
        }
    }

    /// The time after which folders are looked at if nothing was reported, because network file systems report nothing.
    private static let idle = Duration.seconds(30)

    private struct State: Sendable {
        var change = Signal()
        var reports: FolderReports?
        /// The numbers of the watches, by the bytes of the paths: equal texts may be different paths.
        var watched: [[UInt8]: Int32] = [:]
        /// The folders that do not exist.
        var missing: [String] = []
        /// The reason for which the system does not report the changes of a folder that exists; nil if it does.
        var problem: String?
    }

    private let state: Locked<State>
    private let asksSystem: Bool
    /// The time after which folders are looked at that the system does not watch.
    private let polling: Duration

    /// - Parameters:
    ///   - asksSystem: False to look at intervals only, as on a system that reports no changes.
    ///   - polling: The time after which folders are looked at that the system does not watch.
    init(asksSystem: Bool = true, polling: Duration = .seconds(2)) {
        (self.asksSystem, self.polling) = (asksSystem, polling)
        state = Locked(State(problem: asksSystem ? nil : "it is not asked"))
    }

    /// The reason for which the system does not report the changes of all folders that exist, as a clause; nil if it does.
    var problem: String? { state.withLock { $0.problem } }

    /// Returns a signal that is opened with the next change from now on.
    func next() -> Signal {
        state.withLock { state in
            state.change = Signal()
            return state.change
        }
    }

    /// Opens the signal, as a change does.
    func wake() { state.value.change.open() }

    /// Watches these folders, and no others. What has failed earlier is tried again.
    /// - Returns: True if changes are reported of a folder whose changes were not before.
    func watch(_ folders: [String]) -> Bool {
        guard asksSystem else { return false }
        return state.withLock { state in
            (state.missing, state.problem) = ([], nil)
            // A user has few instances of inotify.
            guard !folders.isEmpty else {
                Self.end(&state)
                return false
            }
            do throws(Failure) {
                if state.reports == nil { state.reports = try FolderReports { [weak self] in self?.wake() } }
                return state.reports.map { Self.watch(folders, $0, &state) } ?? false
            } catch {
                state.problem = error.description
                return false
            }
        }
    }

    /// Ends all watches.
    func end() { state.withLock { Self.end(&$0) } }

    private static func end(_ state: inout State) {
        state.reports = nil
        state.watched = [:]
    }

    private static func watch(_ folders: [String], _ reports: FolderReports, _ state: inout State) -> Bool {
        let old = Set(state.watched.values)
        state.watched = [:]
        for folder in folders where state.watched[Array(folder.utf8)] == nil {
            do throws(Failure) {
                // A folder that was replaced by another of the same name gets a new watch.
                state.watched[Array(folder.utf8)] = try reports.add(folder)
            } catch {
                switch error.code {
                case ENOENT, ENOTDIR: state.missing.append(folder)
                default: state.problem = "\(Printable.line(folder)): \(error.description)"
                }
            }
        }
        let current = Set(state.watched.values)
        for number in old.subtracting(current) { reports.remove(number) }
        return !current.isSubset(of: old)
    }

    /// Waits for a change, for some time at most, or until the task is cancelled.
    func wait(for change: Signal) async {
        let (problem, missing) = state.withLock { ($0.problem, $0.missing) }
        if problem != nil { return await Signal.wait(for: change, atMost: polling) }
        if missing.isEmpty { return await Signal.wait(for: change, atMost: Self.idle) }
        let end = ContinuousClock.now + Self.idle
        repeat {
            await Signal.wait(for: change, atMost: polling)
            if change.isOpen || Task.isCancelled { return }
            if await Self.isAny(of: missing) { return }
        } while ContinuousClock.now < end
    }

    /// Returns true if one of these folders exists. Looks apart from the chat, because disks may be slow.
    private static func isAny(of folders: [String]) async -> Bool {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(returning: folders.contains { access($0, F_OK) == 0 })
            }
        }
    }
}
