import ArgumentParser
import FaultSuite
import Foundation

@main
struct Faults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "petrel-faults", abstract: "Injects faults and counts lost and duplicated messages.")

    @Option(help: "The program to test.")
    var program = "dist/bin/petrel"

    @Option(help: "The seed of the random times at which faults are injected.")
    var seed: UInt64 = 1

    @Flag(help: "Run a short version of every fault.")
    var short = false

    @Argument(help: "The faults to inject; all of them by default.")
    var names: [String] = []

    func validate() throws {
        let known = FaultSuite.scenarios.map(\.name)
        for name in names where !known.contains(name) {
            throw ValidationError("Unknown fault \(name). Known faults: \(known.joined(separator: ", ")).")
        }
    }

    func run() async throws {
        let path = URL(fileURLWithPath: program).path
        let suite = FaultSuite(program: path, size: short ? .short : .whole, seed: seed)
        var outcomes: [Outcome] = []
        print(Outcome.heading)
        for (name, scenario) in FaultSuite.scenarios where names.isEmpty || names.contains(name) {
            let outcome = try await scenario(suite)
            print(outcome.line)
            fflush(nil)
            outcomes.append(outcome)
        }
        guard outcomes.allSatisfy(\.isGood) else { throw ExitCode(1) }
        let left = outcomes.filter { $0.injected == 0 }.map(\.fault)
        guard left.isEmpty else {
            print("Not injected: \(left.joined(separator: ", ")).")
            throw ExitCode(1)
        }
        print("No messages were lost, and no commands ran twice. (seed \(seed))")
    }
}
