import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormSimulator
import Testing

@testable import IRCBackend

/// A server that is killed repeatedly.
///
/// IRC does not tell a client whether its message has reached another client. After a connection was lost, the client
/// therefore asks the bot for a sign of life: the bot runs the commands of one person in order, so that it has started
/// every earlier command that it received. Their results arrive, because the bot sends them until they are confirmed.
/// Only commands without a result after that are sent again.
@Suite(.timeLimit(.minutes(30))) struct KillTests {
    private struct Tally {
        var open: Set<Int>
        var results: [Int: Int] = [:]
        var resent = 0

        mutating func take(_ message: IRCMessage) {
            for match in (message[1] ?? "").matches(of: #/stdout : number (\d+)/#) {
                guard message.source?.nick == "petrel", let number = Int(match.1) else { continue }
                results[number, default: 0] += 1
                open.remove(number)
            }
        }
    }

    @Test func `a thousand commands run exactly once while the server is killed five times`() async throws {
        let (count, kills) = (1_000, 5)
        try await IRCServer.run { server in
            let backend = makeBackend(server.settings())
            try await SimulatedHouse.run { fixture in
                try await TestHost.unhurried(backend).run({ [try fixture.module($0)] }) {
                    await fixture.stackStorm.untilHeard()
                    var tally = Tally(open: Set(1...count))
                    var unsent = Array(1...count)[...]
                    for round in 0...kills {
                        let person = try await server.person("alice")
                        try await person.saw("petrel")
                        // The numbers that were sent before, and that the bot has not received.
                        let lost = try await Self.unreceived(person, round, &tally, unsent)
                        tally.resent += lost.count
                        let new = unsent.prefix(count / kills)
                        unsent = unsent.dropFirst(new.count)
                        let (first, second) = (new.prefix(new.count / 2), new.dropFirst(new.count / 2))
                        try await Self.say(lost + first, person)
                        let isLast = round == kills
                        try await Self.listen(person, &tally, atMost: isLast ? .max : first.count / 3, unsent)
                        guard !isLast else { break }
                        // The server is killed while it relays these.
                        try await Self.say(Array(second), person)
                        await server.stop()
                        for message in try await person.lost() { tally.take(message) }
                        try await server.start()
                    }
                    let started = await fixture.stackStorm.started.filter { $0.key.contains("number") }
                    let again = tally.results.values.reduce(0) { $0 + $1 - 1 }
                    print(
                        "Kills: \(kills), commands: \(count), executions: \(started.values.reduce(0, +)), resent by the "
                            + "sender: \(tally.resent), results: \(tally.results.count), duplicate results: \(again)")
                    #expect(started.count == count && started.values.allSatisfy { $0 == 1 })
                    #expect(tally.results.count == count)
                    // Messages that were in flight at a kill may be duplicated.
                    #expect(again <= kills * 25)
                }
            }
        }
    }

    private static func say(_ numbers: [Int], _ person: IRCPerson) async throws {
        for number in numbers { try await person.say("!st2 echo number \(number)") }
    }

    /// Returns the commands that the bot has not received: after two signs of life without a result between them.
    private static func unreceived(
        _ person: IRCPerson, _ round: Int, _ tally: inout Tally, _ unsent: ArraySlice<Int>
    ) async throws -> [Int] {
        var attempt = 0
        while round > 0 {
            let before = tally.results.values.reduce(0, +)
            attempt += 1
            let sign = "sign \(round)-\(attempt)."
            try await person.say("!st2 echo \(sign)")
            while true {
                let message = try await person.heard("stdout : ")
                tally.take(message)
                if message[1]?.contains(sign) == true { break }
            }
            if attempt > 1, tally.results.values.reduce(0, +) == before { break }
        }
        return tally.open.subtracting(unsent).sorted()
    }

    /// Returns after this number of further results, or after all of them.
    private static func listen(
        _ person: IRCPerson, _ tally: inout Tally, atMost limit: Int, _ unsent: ArraySlice<Int>
    ) async throws {
        let before = tally.open.count
        while tally.open.count > unsent.count, before - tally.open.count < limit {
            tally.take(try await person.heard("stdout : number"))
        }
    }
}
