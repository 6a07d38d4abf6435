import ArgumentParser
import FaultSuite
import Foundation

@main
struct Faults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "petrel-faults", abstract: "Breaks what Petrel stands on, and counts what its users were told.")

    @Option(help: "The program to test.")
    var program = "dist/bin/petrel"

    @Option(help: "The same seed breaks things at the same moments.")
    var seed: UInt64 = 1

    @Flag(help: "A little of everything.")
    var short = false

    @Argument(help: "Which faults; all of them without.")
    var names: [String] = []

    func validate() throws {
        let known = FaultSuite.scenarios.map(\.name)
        for name in names where !known.contains(name) {
            throw ValidationError("There is no fault \(name); there is \(known.joined(separator: ", ")).")
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
            print("Not injected here: \(left.joined(separator: ", ")).")
            throw ExitCode(1)
        }
        print("Nothing was lost, nothing ran twice. (seed \(seed))")
    }
}
