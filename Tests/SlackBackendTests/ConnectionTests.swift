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

/// Sockets, proxies, limits, and what breaks on the way to Slack.
@Suite(.timeLimit(.minutes(10))) struct ConnectionTests {
    @Test func `what is no envelope costs nothing but itself`() async throws {
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

    @Test func `a socket is encrypted, by who the certificate says it is, through a proxy as well`() async throws {
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
                // By its name, by another than that of the certificate, and where nobody vouches for it.
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
    func `a pause that is none harms nobody`(seconds: String) async throws {
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

    @Test func `a bot token that is revoked later ends the backend, and says so`() async throws {
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

    @Test func `what cannot be taken is not acknowledged, and comes again`() async throws {
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

    @Test func `no message is missed while sockets are renewed`() async throws {
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

    @Test func `the next socket is tried until it is open, while the old one lives`() async throws {
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

    @Test func `all goes through the proxy of the environment, and a wrong password there is told`() async throws {
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

    @Test func `of several connections each is replaced when it ends`() async throws {
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

    @Test func `whatever answers in Slack's place, nothing is lost of what was to be said`() async throws {
        try await Workspace.with { workspace in
            let storm = Storm(channels: ["C1", "C2"], count: 3)
            try await workspace.chat({ [storm.module(on: $0)] }) { workspace in
                let faults: [JSONValue] = [
                    ["error": "token_revoked", "times": 1, "channel": "C1"],
                    ["status": 502, "body": "<html>Bad Gateway</html>", "times": 1, "channel": "C2"],
                ]
                // One after the other: a method has one fault at a time.
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
        ] as [JSONValue]) func `the way to a socket may break at each step, and is tried again`(fault: JSONValue)
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

    @Test func `what Slack repeats with a new envelope runs once, and the next socket comes when there are too many`()
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

    @Test func `a token that is no longer one ends the backend, with the reason`() async throws {
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

    @Test func `sockets that are cut cost nothing, and nothing runs twice`() async throws {
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

    @Test func `a storm of 429 delays, and loses and reorders nothing`() async throws {
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
                // The last of each channel.
                for channel in storm.channels { _ = try await workspace.messages(endingWith: "99", in: channel) }
                let messages = try await workspace.messages(5)
                for channel in storm.channels {
                    let lines = messages.filter { $0["channel"]?.string == channel }.flatMap { message in
                        (message["text"]?.string ?? "").split(separator: "\n").map(String.init)
                    }
                    #expect(lines == (0..<100).map { "\($0)" })
                }
                // What had to wait came together, and nobody asked before Slack had said.
                let calls = try await workspace.calls("chat.postMessage")
                #expect(calls == messages.count + 15 && messages.count < 400, "\(messages.count)")
            }
        }
    }
}
