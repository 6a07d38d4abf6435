import Foundation
import PetrelKit
import StackStormSimulator

/// Faults of StackStorm and of the connection to it.
extension FaultSuite {
    func streamCuts() async throws -> Outcome {
        try await load("stream cut at a random moment") { house, outcome in
            var dice = Dice(seed)
            for number in 0..<size.cuts {
                try await pause(&dice, 20...400)
                await house.stackStorm.cutStreams()
                await house.announce("cut\(number)", marks: true)
                outcome.injected += 1
            }
        }
    }

    func streamDown() async throws -> Outcome {
        try await load("stream service down") { house, outcome in
            for (number, fault) in [Fault.retryAndClose, .status(503), .silent].enumerated() {
                await house.stackStorm.setFault(fault, for: .stream)
                await house.stackStorm.cutStreams()
                try await Task.sleep(for: size.outage)
                await house.stackStorm.setFault(nil, for: .stream)
                // Disconnect clients of the silent stream.
                if fault == .silent { await house.stackStorm.cutStreams() }
                await house.announce("down\(number)", marks: true)
                outcome.injected += 1
            }
        }
    }

    func apiFaults() async throws -> Outcome {
        try await load("API 500, 503, HTML, garbage, cut, hang") { house, outcome in
            var dice = Dice(seed)
            for fault in [Fault.status(500), .status(503), .html(502), .garbage, .cut, .hang] {
                for area in [Fault.Area.aliasexecution, .executions, .actionalias, .user] {
                    await house.stackStorm.setFault(fault, for: area)
                    if area == .executions { await house.stackStorm.cutStreams() }
                    try await pause(&dice, 100...300)
                    await house.stackStorm.setFault(nil, for: area)
                    if fault == .hang { await house.stackStorm.cutStreams() }
                    await house.announce("api\(outcome.injected)", marks: true)
                    outcome.injected += 1
                }
            }
        }
    }

    func tokensRevoked() async throws -> Outcome {
        try await load("tokens revoked or expired") { house, outcome in
            var dice = Dice(seed)
            for number in 0..<max(size.cuts / 5, 3) {
                try await pause(&dice, 100...400)
                if number % 2 == 0 {
                    await house.stackStorm.revokeTokens()
                } else {
                    await house.stackStorm.expireTokens()
                }
                await house.stackStorm.cutStreams()
                await house.announce("token\(number)", marks: true)
                outcome.injected += 1
            }
        }
    }

    /// The data of malformed events. None of them may affect other events.
    static let malformed: [String] = [
        "nonsense", "{", "[]", "null", "5", "\"text\"", "{}", "{\"payload\": null}", "{\"payload\": 5}",
        "{\"payload\": []}", "{\"payload\": {}}", "{\"payload\": {\"channel\": 5, \"message\": \"x\"}}",
        "{\"payload\": {\"channel\": \"#ops\"}}", "{\"payload\": {\"message\": \"to nobody\"}}",
        "{\"payload\": {\"channel\": \"#ops\", \"message\": \"x\", \"whisper\": \"maybe\"}}",
        "{\"payload\": {\"channel\": \"#ops\", \"message\": \"\\ud800\"}}",
        "{\"payload\": {\"channel\": \"#ops\", \"message\": \"x\", \"user\": {}}}", "\u{0}\u{1}\u{2}",
        String(repeating: "[", count: 2_000), "{\"payload\": " + String(repeating: "9", count: 400) + "}",
    ]

    func malformedEvents() async throws -> Outcome {
        try await load("malformed events, 20 kinds") { house, outcome in
            var dice = Dice(seed)
            for _ in 0..<max(size.cuts / 20, 1) {
                for data in Self.malformed {
                    await house.stackStorm.sendRaw("event: st2.announcement__errbot\ndata: \(data)\n\n")
                    await house.announce("event\(outcome.injected)", marks: true)
                    outcome.injected += 1
                    try await pause(&dice, 1...30)
                }
            }
        }
    }
}
