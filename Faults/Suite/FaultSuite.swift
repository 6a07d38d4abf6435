import Foundation
import PetrelKit
import PetrelSupport
import StackStormSimulator

/// A suite of faults in the environment of Petrel, which counts lost and duplicated messages.
package struct FaultSuite: Sendable {
    /// The number and duration of faults, and the load.
    package struct Size: Sendable {
        /// The number of stream cuts.
        package var cuts: Int
        /// The number of times that the program is killed.
        package var kills: Int
        /// The duration of an outage.
        package var outage: Duration
        /// The number of announcements per second.
        package var rate: Int

        /// The size for `make faults`.
        package static let whole = Size(cuts: 100, kills: 200, outage: .seconds(10), rate: 200)
        /// The size for the tests.
        package static let short = Size(cuts: 5, kills: 3, outage: .seconds(1), rate: 100)
    }

    let program: String
    let size: Size
    /// The seed of the random times at which faults are injected.
    let seed: UInt64

    package init(program: String, size: Size, seed: UInt64) {
        self.program = program
        self.size = size
        self.seed = seed
    }

    package typealias Scenario = @Sendable (FaultSuite) async throws -> Outcome

    package static let scenarios: [(name: String, run: Scenario)] = [
        ("cuts", { try await $0.streamCuts() }), ("stream", { try await $0.streamDown() }),
        ("api", { try await $0.apiFaults() }), ("tokens", { try await $0.tokensRevoked() }),
        ("events", { try await $0.malformedEvents() }), ("backend", { try await $0.backendRefuses() }),
        ("disk", { try await $0.diskFull() }), ("kill", { try await $0.killed() }),
    ]

    /// A generator of reproducible random times.
    struct Dice: RandomNumberGenerator {
        private var state: UInt64

        init(_ seed: UInt64) {
            state = seed
        }

        /// SplitMix64.
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }
    }

    /// Publishes announcements and types commands at a steady rate while `body` injects faults. Waits for all messages.
    func load(
        _ fault: String, in folder: URL? = nil, commands: Bool = true, patience: Duration = .seconds(600),
        _ body: @Sendable @escaping (House, inout Outcome) async throws -> Void
    ) async throws -> Outcome {
        let result = Locked(Outcome(fault))
        let rate = size.rate
        try await House.with(program, in: folder) { house in
            try house.start()
            await house.untilListening()
            // Petrel does not replay announcements from before its first request for the history.
            await house.stackStorm.untilRequested("GET /api/v1/executions", times: 1)
            let loading = Task {
                var number = 0
                // On a slow machine, too, publish a minimum number of announcements.
                while !Task.isCancelled || number < 30 {
                    number += 1
                    await house.announce("a\(number)")
                    if commands, number % 10 == 0 { house.type("c\(number)") }
                    try? await Task.sleep(for: .seconds(1) / rate)
                }
            }
            var outcome = Outcome(fault)
            do {
                try await body(house, &outcome)
            } catch {
                loading.cancel()
                throw error
            }
            loading.cancel()
            await loading.value
            await house.countCommands(&outcome)
            await house.tally.untilComplete(within: patience)
            // Wait for duplicates, which arrive soon.
            try await Task.sleep(for: .seconds(1))
            outcome.ranTwice = 0
            await house.countCommands(&outcome)
            await house.tally.untilComplete(within: patience)
            house.tally.fill(&outcome)
            let final = outcome
            result.withLock { $0 = final }
        }
        return result.value
    }

    func pause(_ dice: inout Dice, _ range: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(Int.random(in: range, using: &dice)))
    }
}
