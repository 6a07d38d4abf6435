import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

@Suite(.timeLimit(.minutes(30))) struct HealingTests {
    @Test func `an interrupted stream is reconnected, and results arrive`() async throws {
        try await Bench.run { bench in
            for _ in 0..<5 {
                await bench.stackStorm.cutStreams()
                await bench.untilConnected()
            }
            bench.backend.type("!st2 echo again")
            _ = await bench.backend.next()
            #expect(await bench.text().contains("again"))
        }
    }

    @Test func `a token that was revoked or has expired is renewed once`() async throws {
        try await Bench.run { bench in
            for expire in [true, false] {
                if expire { await bench.stackStorm.expireTokens() } else { await bench.stackStorm.revokeTokens() }
                let before = await bench.stackStorm.request(count: "POST /auth/v1/tokens")
                async let calls = withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<20 { group.addTask { _ = try await bench.module.client.account() } }
                    try await group.waitForAll()
                }
                try await calls
                let after = await bench.stackStorm.request(count: "POST /auth/v1/tokens")
                #expect(after == before + 1)
            }
        }
    }

    @Test(arguments: [Fault.status(500), .status(503), .html(502), .garbage, .cut])
    func `a fault is reported, and commands work when it ends`(
        fault: Fault
    ) async throws {
        try await Bench.run { bench in
            await bench.stackStorm.setFault(fault, for: .aliasexecution)
            bench.backend.type("!st2 echo x")
            let reply = await bench.backend.next()
            #expect(reply?.reply.kind == .error)
            #expect(reply?.reply.text.contains("127.0.0.1") == false)
            #expect(reply?.reply.text.contains("<html>") == false)
            await bench.stackStorm.setFault(nil, for: .aliasexecution)
            bench.backend.type("!st2 echo y")
            #expect(await bench.text().hasPrefix("core.echo started"))
        }
    }

    @Test func `a missing response is reported as an unknown outcome, and the call is not repeated`() async throws {
        try await Bench.run {
            $0.limits.answer = .seconds(3)
        } _: { bench in
            await bench.stackStorm.setFault(.hang, for: .aliasexecution)
            bench.backend.type("!st2 echo x")
            #expect(await bench.text().contains("the command may or may not have been started"))
            // Zero if the machine was too slow to send the request before the timeout.
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") <= 1)
        }
    }

    @Test func `a silent stream is replaced by a working one`() async throws {
        try await Bench.run {
            $0.limits.silence = .milliseconds(500)
            $0.limits.answer = .seconds(15)
        } _: { bench in
            await bench.untilFollowing()
            await bench.stackStorm.setFault(.silent, for: .stream)
            let before = await bench.stackStorm.request(count: "GET /stream/v1/stream")
            let heard = await bench.stackStorm.request(count: "GET /api/v1/user")
            await bench.stackStorm.cutStreams()
            await bench.stackStorm.untilRequested("GET /stream/v1/stream", times: before + 1)
            await bench.stackStorm.setFault(nil, for: .stream)
            await bench.untilFollowing(times: heard)
            bench.backend.type("!st2 echo heard")
            _ = await bench.backend.next()
            #expect(await bench.text().contains("heard"))
        }
    }

    @Test func `a silent stream is kept while no other is available`() async throws {
        try await Bench.run {
            $0.limits.silence = .milliseconds(500)
        } _: { bench in
            await bench.untilFollowing()
            await bench.stackStorm.setFault(.status(500), for: .stream)
            let before = await bench.stackStorm.request(count: "GET /stream/v1/stream")
            await bench.stackStorm.untilRequested("GET /stream/v1/stream", times: before + 2)
            await bench.stackStorm.publish(payload: ["channel": "#ops", "message": "still here"], route: "errbot")
            #expect(await bench.text() == "still here")
        }
    }

    @Test func `a rejected connection does not count as connected`() async throws {
        let client = try StackStormClient(
            try Bench.client(port: 1) { $0.login = .token(Secret("t")) }, logger: Bench.logger)
        let failures = Locked<[Int]>([])
        let enough = Signal()
        let stream = EventStream(client, events: ["st2.announcement__errbot"]) { count in
            let all = failures.withLock { failures in
                failures.append(count)
                return failures.count
            }
            if all == 4 { enough.open() }
            return .milliseconds(1)
        }
        await withTaskGroup { group in
            group.addTask { await stream.run(connected: { _ in }, handle: { _ in }) }
            await enough.wait()
            group.cancelAll()
        }
        #expect(failures.value.prefix(4) == [1, 2, 3, 4])
        #expect(stream.currentHealth.connections == 0)
        #expect(stream.currentHealth.lastByte == nil)
    }

    @Test func `a response of nginx for a dead stream service is a failure`() async throws {
        try await Bench.runWatching { bench, log in
            await bench.stackStorm.setFault(.retryAndClose, for: .stream)
            await bench.stackStorm.cutStreams()
            await log.saw("StackStorm's stream service is down")
            #expect(bench.module.status().contains { $0.detail.contains("stream service is down") })
            await bench.stackStorm.setFault(nil, for: .stream)
            await bench.untilConnected()
        }
    }

    @Test func `a malformed event does not affect others`() async throws {
        try await Bench.run { bench in
            for data in [
                "nonsense", "{}", "{\"payload\": 5}", "{\"payload\": {\"channel\": \"#ops\"}}",
                "{\"payload\": {\"message\": \"lost\"}}",
            ] {
                await bench.stackStorm.sendRaw("event: st2.announcement__errbot\ndata: \(data)\n\n")
            }
            await bench.stackStorm.publish(payload: ["channel": "#ops", "message": "good"], route: "errbot")
            #expect(await bench.text() == "good")
        }
    }

    @Test func `announcements go to the recipient that they name`() async throws {
        try await Bench.run { bench in
            func say(_ payload: [String: JSONValue]) async -> RecordingBackend.Sent? {
                await bench.stackStorm.publish(payload: payload, route: "errbot")
                return await bench.backend.next()
            }
            #expect(await say(["channel": "#ops", "user": "@bob", "message": "a"])?.address.place == .room("#ops"))
            let whisper = await say(["channel": "#ops", "user": "@bob", "message": "b", "whisper": true])
            #expect(whisper?.address.place == .direct("@bob"))
            #expect(await say(["user": "@bob", "message": "c"])?.address.place == .direct("@bob"))
            #expect(await say(["channel": "#ops", "message": ["a": 1]])?.reply.text == "{\n  \"a\" : 1\n}")
            #expect(await say(["channel": "#ops", "message": "one{~}two"])?.reply.text == "one\ntwo")
            let extra = await say(["channel": "#ops", "message": "d", "extra": ["slack": ["color": "good"]]])
            #expect(extra?.reply.extra == ["slack": ["color": "good"]])
        }
    }

    @Test func `a new alias works as soon as StackStorm announces it`() async throws {
        try await Bench.runWatching { bench, log in
            let alias: [String: JSONValue] = [
                "name": "shout", "pack": "new", "action_ref": "core.echo", "formats": ["shout {{ message }}"],
            ]
            let token = try await bench.token()
            let answer = await bench.stackStorm.answer(
                SimulatedRequest(
                    method: "POST", target: "/api/v1/actionalias", headers: ["x-auth-token": token],
                    body: try JSONValue.encode(alias)))
            #expect(answer.status == 201)
            await log.saw("Loaded 9 aliases from StackStorm")
            bench.backend.type("!st2 shout hey")
            #expect(await bench.text().hasPrefix("new.shout started"))
        }
    }

    @Test func `aliases survive a restart without StackStorm`() async throws {
        let store = try TestStore()
        try await Bench.run(store: store) { _ in }
        var settings = StackStormModuleSettings(client: try Bench.client(port: 1))
        settings.client.limits.connect = .milliseconds(200)
        let backend = RecordingBackend()
        let host = try TestHost([backend], store: store)
        let module = try host.module(settings)
        try await host.run([module]) {
            backend.type("!st2help fleet")
            #expect(await backend.next()?.reply.text.contains("!st2 drain") == true)
            backend.type("!st2 echo x")
            let refusal = await backend.next()?.reply.text ?? ""
            #expect(refusal.hasPrefix("StackStorm cannot be reached"))
        }
    }

    @Test func `without StackStorm and without stored aliases, commands fail at once with an explanation`() async throws
    {
        var settings = StackStormModuleSettings(client: try Bench.client(port: 1))
        settings.client.limits.connect = .milliseconds(200)
        let backend = RecordingBackend()
        let host = try TestHost([backend])
        let module = try host.module(settings)
        try await host.run([module]) {
            backend.type("!st2 echo x")
            #expect(await backend.next()?.reply.text.hasPrefix("StackStorm cannot be reached") == true)
            #expect(module.status().allSatisfy { !$0.isHealthy })
        }
    }

    @Test func `aliases are fetched page by page if StackStorm rejects a single request`() async throws {
        try await Bench.run { bench in
            await bench.stackStorm.refuseUnlimited()
            let page = try await bench.client.aliases()
            #expect(page.items.count == 8)
        }
    }

    @Test(arguments: [
        ("", ##"{"channel":"#ops","message":"x"}"##, 403),
        ("Bearer wrong", ##"{"channel":"#ops","message":"x"}"##, 403),
        ("Bearer s3cret", "nonsense", 400), ("Bearer s3cret", "[]", 400),
        ("Bearer s3cret", ##"{"channel":"#ops"}"##, 400),
        ("Bearer s3cret", ##"{"message":"x"}"##, 400),
        ("Bearer s3cret", ##"{"channel":"#ops","message":"said"}"##, 202),
    ]) func `the webhook accepts the payload of an announcement, and requires its secret`(
        header: String, body: String, status: Int
    )
        async throws
    {
        let backend = RecordingBackend()
        let host = try TestHost([backend])
        let webhook = ChatopsWebhook(host: host.access(for: "web"), secret: Secret("s3cret"))
        try await host.run([]) {
            let answer = await webhook.routes[0].handler(
                WebRequest(headers: ["authorization": header], body: Array(body.utf8)))
            #expect(answer.status == status)
            #expect(!String(decoding: answer.body, as: UTF8.self).contains("s3cret"))
            if status == 202 { #expect(await backend.next()?.reply.text == "said") }
        }
        let closed = ChatopsWebhook(host: host.access(for: "web"), secret: nil)
        #expect(await closed.routes[0].handler(WebRequest(headers: ["authorization": header])).status == 403)
    }
}

extension Bench {
    func token() async throws -> String {
        let endpoint = try Endpoint.token(ttl: 60)
        let answer = await stackStorm.answer(
            SimulatedRequest(
                method: "POST", target: "/auth/v1/tokens",
                headers: ["authorization": "Basic \(Data("petrel:demo".utf8).base64EncodedString())"]))
        guard case .bytes(let bytes) = answer.body else { return "" }
        return try endpoint.decode(StackStormResponse(status: answer.status, headers: [:], body: Data(bytes))).token
            .reveal()
    }
}
