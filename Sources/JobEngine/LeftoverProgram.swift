import Foundation
import PetrelSupport
import ProcessControl

/// A program that still runs although the process that started it has died.
package struct LeftoverProgram: Sendable {
    private let process: Int32
    private let mark: [UInt8]

    /// - Parameters:
    ///   - process: The process identifier, which may belong to another program by now.
    ///   - variable: An environment variable that only this program has, as `NAME=value`.
    package init(process: Int32, variable: String) {
        self.process = process
        mark = Array(variable.utf8)
    }

    /// True if the process exists and has the variable. Only Linux tells.
    package var isRunning: Bool {
        guard process > 1, let environment = FileManager.default.contents(atPath: "/proc/\(process)/environ") else {
            return false
        }
        return environment.split(separator: 0).contains { $0.elementsEqual(mark) }
    }

    /// Ends the program and its process group: SIGTERM, and SIGKILL after a while. Returns false if it does not run.
    package func end(grace: Duration) async -> Bool {
        guard isRunning else { return false }
        let group = ProcessGroup(process)
        group.terminate()
        let end = ContinuousClock.now + grace
        // The process is not a child of this one, so nothing signals its end.
        while isRunning, ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(50))) != nil {}
        if isRunning { group.kill() }
        return true
    }
}
