import Foundation
import JobsModule
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The route `POST /log`.
@Suite(.timeLimit(.minutes(20))) struct LogRelayTests {
    private static let secret = "0123456789abcdef"

    private func house(_ settings: [String: JSONValue] = [:], traits: JobsHouse.Traits = .standard) throws -> JobsHouse
    {
        let section: [String: JSONValue] = ["secret": .string(Self.secret), "channels": ["#ops", "#dev"]]
        return try JobsHouse(["log_relay": .object(section.merging(settings) { $1 })], traits: traits.backend)
    }

    private func post(_ house: JobsHouse, _ body: String, secret: String? = Self.secret) async -> (Int, String) {
        let headers = secret.map { ["authorization": "Bearer \($0)"] } ?? [:]
        let response = await house.host.request(
            .post, "/log", WebRequest(headers: headers, body: Array(body.utf8), origin: "192.0.2.7"))
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    private static func body(_ level: String = "ERROR", channels: String = "\"#ops\"", message: String = "disk <full>")
        -> String
    {
        "{\"channels\": [\(channels)], \"time\": \"2026-01-02 03:04:05,678\", \"level\": \"\(level)\", \"message\": \"\(message)\"}"
    }

    @Test(arguments: [
        ("CRITICAL", "#ff0000"), ("ERROR", "#ff9933"), ("warning", "#ffcc00"), ("INFO", "#33ccff"), ("DEBUG", "good"),
        ("x", "good"),
    ]) func `A record is an attachment in the colour of its level`(level: String, colour: String) async throws {
        try await house(traits: .slack).run { house in
            #expect(await post(house, Self.body(level)).0 == 204)
            let sent = await house.backend.next()
            #expect(sent?.address.place == .room("#ops"))
            let attachment = sent?.reply.extra["slack"]?["attachments"]?.array?.first
            #expect(attachment?["color"] == .string(colour))
            let fields = attachment?["fields"]?.array ?? []
            #expect(fields.first?["value"] == "disk &lt;full&gt;" && fields.count == 4)
            #expect(fields.last?["value"] == "192.0.2.7")
        }
    }

    @Test func `A record is said in each of its rooms once, as text where there are no attachments`() async throws {
        try await house().run { house in
            #expect(await post(house, Self.body(channels: "\"#ops\", \"#dev\", \"#ops\"")).0 == 204)
            for _ in 0..<2 {
                #expect(await house.next() == "ERROR 2026-01-02 03:04:05,678: disk <full>")
            }
            #expect(await post(house, Self.body(message: "last")).0 == 204)
            #expect(await house.next().hasSuffix("last"))
        }
    }

    @Test(arguments: [
        "", "{", "[]", "null", "{}", body(channels: ""), body(channels: "1"), body(message: ""), body(message: "a\"b"),
        body(channels: "\"#other\""), body(channels: "\"@alice\""), body(channels: "\"#ops\", \"#other\""),
        "{\"channels\": \"#ops\", \"time\": 1, \"level\": \"INFO\", \"message\": \"x\"}",
        "{\"channels\": [\"#ops\"], \"time\": 1, \"message\": \"x\"}",
    ]) func `A bad body gets 400, and nothing is said`(body: String) async throws {
        try await house().run { house in
            let (status, text) = await post(house, body)
            #expect(status == 400 && text.words.last?.hasSuffix(".") == true, "\(status) \(text)")
            #expect(await post(house, Self.body(message: "next")).0 == 204)
            #expect(await house.next().hasSuffix("next"))
        }
    }

    @Test func `A request without the secret is refused, and records are limited for each room`() async throws {
        try await house().run { house in
            for secret in [nil, "", "0123456789abcdeg", "0123456789abcdef0"] {
                #expect(await post(house, Self.body(), secret: secret).0 == 401)
            }
            // Each two seconds one more is answered.
            var status = 401
            for _ in 0..<10_000 where status == 401 { status = await post(house, "", secret: "x").0 }
            #expect(status == 429)
        }
        var (statuses, texts, time) = ([Int](), [String](), Duration.zero)
        repeat {
            let start = ContinuousClock.now
            (statuses, texts) = try await house(["per_minute": 2]).run { house in
                var statuses: [Int] = []
                for number in 1...3 { statuses.append(await post(house, Self.body(message: "\(number)")).0) }
                for _ in 0..<2 {
                    statuses.append(await post(house, Self.body(channels: "\"#dev\", \"#ops\"", message: "x")).0)
                }
                for number in 4...5 {
                    statuses.append(await post(house, Self.body(channels: "\"#dev\"", message: "\(number)")).0)
                }
                return (statuses, [await house.next(), await house.next(), await house.next(), await house.next()])
            }
            time = .now - start
            // One more is permitted after half a minute, so that a machine that stood still has to try again.
        } while time > .seconds(29)
        #expect(statuses == [204, 204, 429, 429, 429, 204, 204])
        #expect(texts.map(\.last) == ["1", "2", "4", "5"])
    }

    @Test func `A reload replaces the secret and the rooms`() async throws {
        try await house().run { house in
            #expect(await post(house, Self.body(message: "1")).0 == 204)
            func reload(_ jobs: JSONValue) throws {
                JobsPlugIn([try JobsHouse.settings(jobs).0]).reload(house.modules)
            }
            try reload(["log_relay": ["secret": "another secret of 16", "channels": ["#dev"]]])
            #expect(await post(house, Self.body()).0 == 401)
            #expect(await post(house, Self.body(), secret: "another secret of 16").0 == 400)
            let body = Self.body(channels: "\"#dev\"", message: "2")
            #expect(await post(house, body, secret: "another secret of 16").0 == 204)
            try reload([:])
            #expect(await post(house, body, secret: "another secret of 16").0 == 404)
            for number in 1...2 { #expect(await house.next().hasSuffix("\(number)")) }
        }
    }
}
