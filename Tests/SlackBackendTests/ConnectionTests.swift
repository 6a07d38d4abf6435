import FaultSuite
import Foundation
import Logging
import NIOPosix
import NIOSSL
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import SlackBackend

/// Tests of sockets, proxies, rate limits and failures of the connection to Slack.
@Suite(.timeLimit(.minutes(30))) struct ConnectionTests {
    @Test func `messages that are not envelopes are ignored`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                let garbage = [
                    "", "no json", "[]", "{}", "{\"type\":7}", "{\"type\":\"events_api\"}",
                    "{\"type\":\"events_api\",\"envelope_id\":\"x\"}",
                    "{\"type\":\"of the future\",\"envelope_id\":\"y\",\"payload\":{}}",
                    "{\"type\":\"slash_commands\",\"envelope_id\":\"z\",\"payload\":{\"command\":\"/\"}}",
                    "{\"type\":\"events_api\",\"envelope_id\":\"w\",\"payload\":{\"event\":{\"type\":\"message\",\"text\":\""
                        + String(repeating: "x", count: 5 << 20) + "\"}}}",
                ]
                for text in garbage { try await workspace.order("raw", ["text": .string(text)]) }
                try await workspace.say("!echo still there")
                #expect(try await workspace.message()["text"] == "@alice in #ops: still there")
            }
        }
    }

    @Test func `the certificate of a socket is verified, also through a proxy`() async throws {
        try await withFolder { folder in
            let certificate = try await SelfSigned(in: folder)
            try await Workspace.with(certificate) { workspace in
                let port = try #require(workspace.securePort)
                var trusting = TLSConfiguration.makeClientConfiguration()
                trusting.trustRoots = .file(certificate.certificate)
                func hears(
                    _ host: String, _ tls: TLSConfiguration, _ environment: [String: String] = [:]
                ) async throws -> Bool {
                    let client = WebSocketClient(
                        on: MultiThreadedEventLoopGroup.singleton.next(), tls: tls,
                        proxies: ProxyEnvironment(environment))
                    let ticket = try await workspace.ticket()
                    let address = try #require(URL(string: "wss://\(host):\(port)/link?\(ticket)"))
                    let heard = Locked(false)
                    do {
                        _ = try await client.run(address) { message, _ in
                            guard case .text(let text) = message else { return }
                            heard.withLock { $0 = SocketMode.Frame(text) == .hello }
                            throw CancellationError()
                        }
                    } catch is CancellationError {
                        return heard.value
                    } catch is WebSocketClient.Failure {
                        return false
                    }
                    return heard.value
                }
                // A valid name, a name that is not in the certificate, and an untrusted certificate.
                let direct = [
                    try await hears("localhost", trusting), try await hears("127.0.0.1", trusting),
                    try await hears("localhost", .makeClientConfiguration()),
                ]
                #expect(direct == [true, false, false])
                let proxied = try await Proxy.run(in: folder) { proxy in
                    [
                        try await hears("localhost", trusting, ["HTTPS_PROXY": proxy.url]),
                        try await hears("localhost", .makeClientConfiguration(), ["HTTPS_PROXY": proxy.url]),
                    ]
                }
                #expect(proxied == [true, false])
            }
        }
    }

    @Test(arguments: ["9223372036854775807", "-5", "soon"])
    func `an invalid Retry-After does not block other messages`(seconds: String) async throws {
        try await Workspace.with { workspace in
            try await workspace.order(
                "fault",
                [
                    "method": "chat.postMessage",
                    "fault": [
                        "status": 429, "headers": ["Retry-After": .string(seconds)], "times": 1, "channel": "C1",
                    ],
                ])
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!echo one", channel: "C1")
                _ = try await workspace.messages(until: "chat.postMessage", times: 1)
                try await workspace.say("!echo two", channel: "C2")
                _ = try await workspace.messages(until: "@alice in #dev: two")
            }
        }
    }

    @Test func `a bot token that is revoked while running ends the backend with an explanation`() async throws {
        try await Workspace.with { workspace in
            let backend = SlackBackend(
                name: "slack", settings: try workspace.settings,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let running = Task { try await backend.run { _ in } }
            try await workspace.untilOpen(sockets: 1)
            try await workspace.order(
                "fault", ["method": "chat.postMessage", "fault": ["error": "token_revoked", "times": 1]])
            await #expect(throws: SendFailure.self) {
                try await backend.send(Reply("lost?"), to: Address(backend: "slack", place: .room("C1")))
            }
            await #expect {
                try await running.value
            } throws: { error in
                (error as? BackendFailure).map { $0.isFinal && $0.message.contains("no longer accepts") } == true
            }
        }
    }

    @Test func `an envelope that is not accepted is not acknowledged and is delivered again`() async throws {
        try await Workspace.with { workspace in
            try await workspace.order("patience", ["milliseconds": 5000])
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let settings = try workspace.settings
            let loop = EventLoopExecutor()
            let mode = SocketMode(SlackAPI(settings, on: loop), settings, on: loop, logger)
            let (seen, continuation) = AsyncStream.makeStream(of: Int.self)
            let attempts = Locked(0)
            let listening = Task {
                try await mode.run { _ in
                    let attempt = attempts.withLock { attempts in
                        attempts += 1
                        return attempts
                    }
                    continuation.yield(attempt)
                    return attempt >= 3
                }
            }
            defer { listening.cancel() }
            try await workspace.untilOpen(sockets: 1)
            try await workspace.say("!echo")
            for await attempt in seen where attempt >= 3 { break }
            _ = try await workspace.acknowledgements(1)
            #expect(attempts.value >= 3)
        }
    }

    @Test func `no message is lost while sockets are replaced`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                for number in 0..<1_000 {
                    if number % 50 == 25 { try await workspace.order("disconnect", ["reason": "refresh_requested"]) }
                    try await workspace.say("!echo \(number)", user: number % 2 == 0 ? "U1" : "U2")
                }
                let texts = try await workspace.messages(1_000).map { $0["text"]?.string }
                #expect(texts.count == 1_000 && Set(texts).count == 1_000)
            }
        }
    }

    @Test func `opening a replacement socket is retried while the old one is in use`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.order(
                    "fault",
                    ["method": "apps.connections.open", "fault": ["error": "internal_error", "times": 2]])
                try await workspace.order("disconnect", ["reason": "warning", "takes": true])
                try await workspace.say("!echo meanwhile")
                _ = try await workspace.messages(until: "@alice in #ops: meanwhile")
                try await workspace.untilOpen(sockets: 2)
                let left = try await workspace.log().count { $0["left"] != nil }
                #expect(left == 0)
            }
        }
    }

    @Test func `connections use the proxy from the environment, and a wrong proxy password is reported`() async throws {
        try await Workspace.with { workspace in
            try await withFolder { folder in
                try await Proxy.run(in: folder) { proxy in
                    try await workspace.chat([Echo()]) {
                        $0.environment = ["http_proxy": proxy.url]
                    } _: { workspace in
                        try await workspace.say("!echo through")
                        #expect(try await workspace.message()["text"] == "@alice in #ops: through")
                    }
                    let address = try #require(URL(string: "ws://127.0.0.1:1/"))
                    let client = WebSocketClient(
                        on: MultiThreadedEventLoopGroup.singleton.next(),
                        proxies: ProxyEnvironment(["HTTP_PROXY": proxy.anonymous]))
                    await #expect { try await client.run(address) { _, _ in } } throws: { error in
                        "\(error)".contains("it rejected the user name or password in HTTPS_PROXY")
                    }
                }
            }
        }
    }

    @Test func `an address with an impossible port is refused`() async throws {
        let client = WebSocketClient(on: MultiThreadedEventLoopGroup.singleton.next())
        let address = try #require(URL(string: "ws://127.0.0.1:99999/"))
        await #expect(throws: WebSocketClient.Failure.self) { try await client.run(address) { _, _ in } }
    }

    @Test func `each of several connections is replaced when it ends`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()], change: { $0.connections = 3 }) { workspace in
                try await workspace.order("patience", ["milliseconds": 500])
                for round in 0..<5 {
                    try await workspace.untilOpen(sockets: 3)
                    try await workspace.order("cut", ["sockets": .integer(round % 2 + 1)])
                    try await workspace.say("!echo \(round)")
                    _ = try await workspace.messages(until: "@alice in #ops: \(round)")
                }
                try await workspace.untilOpen(sockets: 3)
                #expect(try await workspace.messages(5).count == 5)
            }
        }
    }

    @Test func `no reply is lost when calls fail`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm(channels: ["C1", "C2"], count: 3)
            try await workspace.chat({ [storm.module(on: $0)] }) { workspace in
                let faults: [JSONValue] = [
                    ["error": "token_revoked", "times": 1, "channel": "C1"],
                    ["status": 502, "body": "<html>Bad Gateway</html>", "times": 1, "channel": "C2"],
                ]
                // The stand-in supports one fault per method at a time.
                try await workspace.order("fault", ["method": "chat.postMessage", "fault": faults[0]])
                storm.begins.open()
                _ = try await workspace.messages(endingWith: "2", in: "C1")
                _ = try await workspace.messages(endingWith: "2", in: "C2")
                let lines = try await workspace.messages(2).filter { $0["channel"] == "C1" }.flatMap {
                    ($0["text"]?.string ?? "").split(separator: "\n").map(String.init)
                }
                #expect(lines == ["0", "1", "2"])
                storm.again.open()
                try await workspace.order("fault", ["method": "chat.postMessage", "fault": faults[1]])
                _ = try await workspace.messages(endingWith: "end", in: "C2")
            }
        }
    }

    @Test(
        arguments: [
            ["method": "auth.test", "fault": ["status": 502, "body": "<html>", "times": 2]],
            ["method": "apps.connections.open", "fault": ["status": 200, "body": "<html>", "times": 2]],
            ["method": "apps.connections.open", "fault": ["url": "not a url", "times": 1]],
            ["method": "link", "fault": ["error": "before the handshake", "times": 2]],
            ["method": "link", "fault": ["error": "after the handshake", "times": 2]],
            ["method": "link", "fault": ["error": "after the hello", "times": 2]],
        ] as [JSONValue]) func `a failure at any step of opening a socket is retried`(fault: JSONValue)
        async throws
    {
        try await Workspace.with { workspace in
            try await workspace.order("fault", fault.object ?? [:])
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.say("!echo at last")
                _ = try await workspace.messages(until: "@alice in #ops: at last")
            }
        }
    }

    @Test func `a message in repeated envelopes runs once, and a rejected socket is replaced`()
        async throws
    {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                let payload: JSONValue = [
                    "type": "event_callback", "event_id": "Ev1",
                    "event": [
                        "type": "message", "channel": "C1", "user": "U1", "ts": "7.7",
                        "text": "!echo “once” &amp; only",
                    ],
                ]
                for _ in 0..<4 {
                    try await workspace.order("deliver", ["type": "events_api", "payload": payload])
                }
                try await workspace.order("disconnect", ["reason": "too_many_websockets", "close": true])
                try await workspace.say("!echo end", user: "U2")
                let texts = try await workspace.messages(until: "@bob in #ops: end").compactMap { $0["text"]?.string }
                #expect(texts.sorted() == ["@alice in #ops: \"once\" &amp; only", "@bob in #ops: end"])
            }
        }
    }

    @Test func `an invalid token ends the backend with the reason`() async throws {
        try await Workspace.with { workspace in
            for (method, error) in [
                ("auth.test", "token_revoked"), ("apps.connections.open", "not_allowed_token_type"),
            ] {
                try await workspace.order("fault", ["method": .string(method), "fault": ["error": .string(error)]])
                let backend = SlackBackend(
                    name: "slack", settings: try workspace.settings,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
                await #expect {
                    try await backend.run { _ in }
                } throws: { failure in
                    let failure = failure as? BackendFailure
                    return failure?.isFinal == true && failure?.message.contains(error) == true
                }
            }
        }
    }

    @Test func `no message is lost or run twice when sockets are cut`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat([Echo()]) { workspace in
                try await workspace.order("patience", ["milliseconds": 500])
                for number in 0..<100 {
                    if number % 25 == 12 { try await workspace.order("cut") }
                    try await workspace.say("!echo \(number)", user: number % 2 == 0 ? "U1" : "U2")
                }
                let texts = try await workspace.messages(100).map { $0["text"]?.string }
                #expect(texts.count == 100 && Set(texts).count == 100)
            }
        }
    }

    @Test func `repeated 429 responses delay messages without losing or reordering any`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm()
            try await workspace.chat({ [storm.module(on: $0)] }) { workspace in
                try await workspace.order(
                    "fault",
                    [
                        "method": "chat.postMessage",
                        "fault": ["status": 429, "headers": ["Retry-After": "1"], "times": 15],
                    ])
                storm.begins.open()
                // Waits for the last message in each channel.
                for channel in storm.channels { _ = try await workspace.messages(endingWith: "99", in: channel) }
                let messages = try await workspace.messages(5)
                for channel in storm.channels {
                    let lines = messages.filter { $0["channel"]?.string == channel }.flatMap { message in
                        (message["text"]?.string ?? "").split(separator: "\n").map(String.init)
                    }
                    #expect(lines == (0..<100).map { "\($0)" })
                }
                // Delayed messages were merged, and no call was made before its rate limit ended.
                let calls = try await workspace.calls("chat.postMessage")
                #expect(calls == messages.count + 15 && messages.count < 400, "\(messages.count)")
            }
        }
    }
}
