import Foundation
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormModule
import StackStormSimulator

/// Faults of the machine and of the chat.
extension FaultSuite {
    /// The size of a batch: the next process may repeat at most one batch of messages.
    private static let batch = 25

    func killed() async throws -> Outcome {
        try await load("kill -9 at a random moment") { house, outcome in
            var dice = Dice(seed)
            for number in 0..<size.kills {
                try await pause(&dice, 20...600)
                await house.kill()
                await house.announce("kill\(number)", marks: true)
                try house.start()
                outcome.injected += 1
                outcome.mayBeDuplicated += Self.batch
                // Every other process is killed during startup.
                if number % 2 == 0 { await house.untilListening() }
            }
        }
    }

    /// Fills up the file system of the store, which is a separate mount.
    func diskFull() async throws -> Outcome {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("petrel-disk-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let mount = try Program(["-t", "tmpfs", "-o", "size=8m", "tmpfs", folder.path], of: "/usr/bin/mount")
        guard await mount.end().status == 0 else {
            var outcome = Outcome("disk full")
            outcome.obstacle = "not injected: only root can mount a file system"
            return outcome
        }
        do {
            let outcome = try await load("disk full", in: folder) { house, outcome in
                for number in 0..<3 {
                    let filler = folder.appendingPathComponent("filler")
                    Self.fill(filler)
                    await house.announce("full\(number)", marks: true)
                    try await Task.sleep(for: size.outage)
                    try FileManager.default.removeItem(at: filler)
                    // In steps, so that a machine that stands still does not use up the time of the program.
                    for _ in 0..<40 { try await Task.sleep(for: .milliseconds(50)) }
                    outcome.injected += 1
                }
                // The buffered changes have been written by now: the next process must not repeat messages.
                await house.kill()
                try house.start()
                await house.untilListening()
                outcome.mayBeDuplicated = Self.batch
            }
            _ = await (try Program([folder.path], of: "/usr/bin/umount")).end()
            return outcome
        } catch {
            _ = await (try Program([folder.path], of: "/usr/bin/umount")).end()
            throw error
        }
    }

    /// Appends to a file until the file system is full.
    private static func fill(_ file: URL) {
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(descriptor) }
        for size in [1 << 16, 1 << 12, 1] {
            let bytes = [UInt8](repeating: 0, count: size)
            while write(descriptor, bytes, size) > 0 {}
        }
    }

    /// Runs in this process, because the program's chat is its standard output, which does not reject messages.
    func backendRefuses() async throws -> Outcome {
        let outage = size.outage * 3
        let (rate, name) = (size.rate, "backend refusing")
        let stackStorm = SimulatedStackStorm()
        let tally = Tally()
        let refuses = Locked(false)
        let backend = RecordingBackend { reply, _ in
            if refuses.value { throw SendFailure("the service is unavailable", .later(after: nil)) }
            tally.said(reply.text)
        }
        var outcome = Outcome(name)
        try await House.with(stackStorm) { settings in
            try await TestHost([backend]).run({ [try $0.module(StackStormModuleSettings(client: settings))] }) {
                await stackStorm.untilHeard()
                await stackStorm.untilRequested("GET /api/v1/executions", times: 1)
                for number in 0..<rate {
                    if number == rate / 4 { refuses.withLock { $0 = true } }
                    tally.sent("b\(number)")
                    await stackStorm.publish(
                        payload: ["channel": "#ops", "message": .string("[b\(number)]")], route: "errbot")
                }
                try await Task.sleep(for: outage)
                refuses.withLock { $0 = false }
                tally.sent("back1", marks: true)
                await stackStorm.publish(payload: ["channel": "#ops", "message": "[back1]"], route: "errbot")
                await tally.untilComplete(within: .seconds(600))
            }
        }
        outcome.injected = 1
        tally.fill(&outcome)
        return outcome
    }
}
