import Foundation
import PetrelKit
import PetrelSupport
import StackStormSimulator

/// Breaks what Petrel stands on, in many ways, and counts what its users were told.
package struct FaultSuite: Sendable {
    /// How much of it.
    package struct Size: Sendable {
        package var cuts: Int
        package var kills: Int
        package var outage: Duration
        package var rate: Int

        /// What `make faults` runs.
        package static let whole = Size(cuts: 100, kills: 200, outage: .seconds(10), rate: 200)
        /// What the tests run.
        package static let short = Size(cuts: 5, kills: 3, outage: .seconds(1), rate: 100)
    }

    let program: String
    let size: Size
    /// The same seed breaks things at the same moments.
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

    /// Moments that are the same for the same seed.
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

    /// Announces and types at a steady rate while something is done to the house, and waits for all of it to be said.
    func load(
        _ fault: String, in folder: URL? = nil, commands: Bool = true, patience: Duration = .seconds(200),
        _ body: @Sendable @escaping (House, inout Outcome) async throws -> Void
    ) async throws -> Outcome {
        let result = Locked(Outcome(fault))
        let rate = size.rate
        try await House.with(program, in: folder) { house in
            try house.start()
            await house.untilListening()
            // The first look at the history, before which everything is the past.
            await house.stackStorm.untilRequested("GET /api/v1/executions", times: 1)
            let loading = Task {
                var number = 0
                // A slow machine must not make a load of nothing.
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
            // Whatever is said twice comes soon.
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
