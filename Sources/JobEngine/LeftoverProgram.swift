import Foundation
import PetrelSupport
import ProcessControl

/// The processes of a program that may still run although the process that started it has died. Only Linux tells.
package struct LeftoverProgram: Sendable {
    /// The state of the processes.
    package enum Finding: Sendable {
        /// None is left.
        case gone
        /// Some are left.
        case running
        /// Some of the same process group run, but may belong to another program.
        case unknown
    }

    private static let interval = Duration.milliseconds(100)
    /// The time within which processes end after SIGKILL.
    private static let killing = Duration.seconds(2)

    private let leader: Int32
    private let identity: String?
    private let mark: [UInt8]

    /// - Parameters:
    ///   - leader: The process identifier of the program, which is also that of its group. Both may belong to another
    ///     program by now.
    ///   - identity: The ``ProcessTable/identity(of:)`` of the program; nil if it is not known.
    ///   - variable: An environment variable that only this program has, as `NAME=value`.
    package init(leader: Int32, identity: String?, variable: String) {
        self.leader = leader
        self.identity = identity
        mark = Array(variable.utf8)
    }

    /// The state of the processes at the moment.
    package var finding: Finding {
        guard leader > 1 else { return .gone }
        let members = ProcessTable.members(ofGroup: leader)
        guard !members.isEmpty else { return .gone }
        if let identity {
            if ProcessTable.isOfEarlierStart(identity) { return .gone }
            if let found = ProcessTable.entry(leader) {
                // The number is not given to another process while the group has members.
                return ProcessTable.identity(of: found) == identity ? .running : .gone
            }
        }
        return members.contains { isMarked($0.id) } ? .running : .unknown
    }

    private func isMarked(_ process: Int32) -> Bool {
        let environment = FileManager.default.contents(atPath: "/proc/\(process)/environ")
        return environment?.split(separator: 0).contains { $0.elementsEqual(mark) } == true
    }

    /// Ends the processes, whose ``finding`` was ``Finding/running``: SIGTERM, and SIGKILL after a while to those that
    /// are left. Returns false if some cannot be ended.
    package func end(grace: Duration) async -> Bool {
        let group = ProcessGroup(leader)
        group.terminate()
        if await isEmpty(within: grace) { return true }
        // Also ends the processes that ignore SIGTERM.
        group.kill()
        return await isEmpty(within: Self.killing)
    }

    private func isEmpty(within limit: Duration) async -> Bool {
        let end = ContinuousClock.now + limit
        // The processes are not children of this one, so nothing signals their end.
        while !ProcessTable.members(ofGroup: leader).isEmpty {
            // Sleeping fails only if the task is cancelled.
            guard ContinuousClock.now < end, (try? await Task.sleep(for: Self.interval)) != nil else { return false }
        }
        return true
    }
}
