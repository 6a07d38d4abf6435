import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Malformed events, aliases and records do not affect others.
@Suite(.timeLimit(.minutes(30))) struct BadRowTests {
    @Test(arguments: ["NaN", "Infinity", #""\ud83d""#, "1e999"])
    func `a value in the history that is not JSON does not affect others`(value: String) async throws {
        try await Bench.run { bench in
            await bench.untilFollowing()
            let replay = bench.module.results.replay
            #expect(await replay.look())
            await bench.stackStorm.change { $0.garble = ("\"GARBLE\"", value) }
            await bench.stackStorm.setFault(.silent, for: .stream)
            await bench.stackStorm.cutStreams()
            for (message, extra) in [("first", "x"), ("second", "GARBLE"), ("third", "x")] {
                await bench.stackStorm.publish(
                    payload: ["channel": "#ops", "message": .string(message), "extra": ["v": .string(extra)]],
                    route: "errbot")
            }
            var texts: [String] = []
            while texts.count < 3 {
                await replay.look()
                let text = await bench.text()
                guard !text.isEmpty else { break }
                texts.append(text)
            }
            #expect(texts == ["first", "second", "third"])
            #expect(replay.health.value.problem == nil)
            #expect(bench.module.client.lossCount > 0)
        }
    }

    @Test func `an event with a value that is not JSON is posted anyway`() async throws {
        try await Bench.run { bench in
            for (message, extra) in [
                (#""one""#, #"{"v": NaN}"#), (#""two \ud83d""#, "{}"), (#""three""#, #"{"v": [1e999, -Infinity]}"#),
                ("null", #"{"text": "four"}"#), (#"{"a": NaN}"#, "{}"),
            ] {
                await bench.stackStorm.sendRaw(
                    "event: st2.announcement__errbot\ndata: {\"payload\": {\"channel\": \"#ops\", \"user\": 42, "
                        + "\"whisper\": false, \"message\": \(message), \"extra\": \(extra)}}\n\n")
            }
            #expect(await bench.text() == "one")
            #expect(await bench.text() == "two \u{FFFD}")
            #expect(await bench.text() == "three")
            let fourth = await bench.backend.next()
            #expect(fourth?.reply.text == "" && fourth?.reply.extra == ["text": "four"])
            #expect(await bench.text().contains("null"))
        }
    }

    @Test func `an alias with an invalid format keeps its other formats`() async throws {
        var content = SimulatedContent.demo
        content.aliases += [
            SimulatedContent.alias("ops.mixed", "", action: "core.echo", formats: [42, "mixed {{ message }}"]),
            SimulatedContent.alias("ops.broken", "", action: "core.echo", formats: [42]),
        ]
        let watch = LogWatch()
        try await Bench.run(Bench.Options(content: content, logger: watch.logger)) { bench in
            await watch.saw("An alias was skipped: the alias ops.broken has no valid `formats`.")
            bench.backend.type("!st2 mixed x")
            #expect(await bench.text().hasPrefix("ops.mixed started"))
        }
    }

    @Test func `a stored row that cannot be read does not affect others`() async throws {
        let store = try TestStore()
        let records = store.storage(for: "st2").records("aliases")
        let alias = Alias(
            id: "1", name: "echo", pack: "core", actionRef: "core.echo",
            formats: [Alias.Format(display: "echo {{ message }}", representations: ["echo {{ message }}"])])
        try await records.set(JSONValue.encode(alias), for: "core.echo")
        try await records.set(Array("{\"half".utf8), for: "core.bad")
        let watch = LogWatch()
        var options = Bench.Options(store: store, logger: watch.logger)
        options.prepare = { await $0.setFault(.status(503), for: .actionalias) }
        try await Bench.run(options) { bench in
            await watch.saw("Loaded 1 alias from the last run.")
            bench.backend.type("!st2 echo kept")
            #expect(await bench.text().hasPrefix("core.echo started"))
        }
    }

    @Test func `a message that is null is not posted`() async throws {
        try await Bench.run { bench in
            for message in [JSONValue.null, "end"] {
                await bench.stackStorm.publish(
                    payload: ["channel": "#ops", "message": message, "extra": .object([:])], route: "errbot")
            }
            #expect(await bench.text() == "end")
        }
    }
}
