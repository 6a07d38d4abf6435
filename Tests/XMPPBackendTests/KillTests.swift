import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormSimulator
import Testing

@testable import XMPPBackend

/// A server that is killed repeatedly.
@Suite(.timeLimit(.minutes(30))) struct KillTests {
    /// Resends commands until they are answered, as clients do. The origin ID stays the same, which marks duplicates
    /// (XEP-0359).
    private struct Tally {
        var open: Set<Int>
        var results: [Int: Int] = [:]
        var repeated = 0

        mutating func take(_ text: String) {
            for match in text.matches(of: #/stdout : number (\d+)/#) {
                guard let number = Int(match.1) else { continue }
                results[number, default: 0] += 1
                open.remove(number)
            }
        }
    }

    @Test func `a thousand commands run exactly once while the server is killed five times`() async throws {
        let (count, kills) = (1_000, 5)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await XMPPServer.run { server in
            var settings = try server.settings()
            settings.silence = .seconds(30)
            let backend = server.backend(settings)
            try await SimulatedHouse.run { fixture in
                try await TestHost.unhurried(backend, logger: logger).run({ [try fixture.module($0)] }) {
                    await fixture.stackStorm.untilHeard()
                    var tally = Tally(open: Set(1...count))
                    for round in 0...kills {
                        let isLast = round == kills
                        let person = try await server.person("alice")
                        // Messages to an offline bot are not processed.
                        try await person.saw("petrel")
                        try await Self.round(person, &tally, atMost: isLast ? .max : count / (kills + 1))
                        guard !isLast else { break }
                        await server.stop(SIGKILL)
                        for text in try await person.leave() { tally.take(text) }
                        try await server.start()
                    }
                    let started = await fixture.stackStorm.started
                    let twice = started.values.count { $0 != 1 }
                    let again = tally.results.values.reduce(0) { $0 + $1 - 1 }
                    print(
                        "Kills: \(kills), commands: \(count), executions: \(started.values.reduce(0, +)), "
                            + "resent by the sender: \(tally.repeated), results: \(tally.results.count), "
                            + "duplicate results: \(again)")
                    #expect(started.count == count && twice == 0)
                    #expect(tally.results.count == count)
                    // Messages that were in flight at a kill may be duplicated.
                    #expect(again <= kills * 25)
                }
            }
        }
    }

    /// Sends the open commands and returns after this number of further results.
    private static func round(_ person: XMPPPerson, _ tally: inout Tally, atMost limit: Int) async throws {
        if tally.results.count > 0 { tally.repeated += tally.open.count }
        for number in tally.open.sorted() {
            let origin = "<origin-id xmlns='\(XMPPNames.ids)' id='c\(number)'/>"
            try person.say("!st2 echo number \(number)", to: "petrel@localhost", ["more": [.string(origin)]])
        }
        let before = tally.open.count
        while !tally.open.isEmpty, before - tally.open.count < limit {
            tally.take(try await person.heard("stdout : number")["text"]?.string ?? "")
        }
    }
}
