import Crypto
import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import SlackBackend

@Suite(.timeLimit(.minutes(30))) struct SignatureTests {
    /// Slack's published example (https://docs.slack.dev/authentication/verifying-requests-from-slack).
    private static let secret = "8f742231b10e8888abcd99yyyzzz85a5"
    private static let time = 1_531_420_618.0
    private static let body = Array(
        ("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
            + "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
            + "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
            + "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c").utf8)
    private static let headers = [
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    ]

    @Test func `Slack's published example is valid for five minutes`() {
        let signature = SlackSignature(Secret(Self.secret))
        for (offset, isRight) in [(0.0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            let now = Date(timeIntervalSince1970: Self.time + offset)
            #expect(signature.isRight(Self.headers, Self.body, at: now) == isRight)
        }
    }

    @Test func `invalid signatures are rejected`() {
        let now = Date(timeIntervalSince1970: Self.time)
        let right = SlackSignature(Secret(Self.secret))
        #expect(!SlackSignature(Secret("")).isRight(Self.headers, Self.body, at: now))
        #expect(!SlackSignature(Secret("another")).isRight(Self.headers, Self.body, at: now))
        #expect(!right.isRight(Self.headers, Self.body + [32], at: now))
        for (name, value) in [
            ("x-slack-signature", ""), ("x-slack-signature", "v0="), ("x-slack-signature", "v1=a2114d57"),
            ("x-slack-signature", "v0=" + String(repeating: "z", count: 64)),
            ("x-slack-signature", "v0=" + String(repeating: "a", count: 64)), ("x-slack-request-timestamp", "soon"),
            ("x-slack-request-timestamp", "1531420619"), ("x-slack-request-timestamp", "nan"),
        ] {
            var headers = Self.headers
            headers[name] = value
            #expect(!right.isRight(headers, Self.body, at: now))
            headers[name] = nil
            #expect(!right.isRight(headers, Self.body, at: now))
        }
    }

    /// Returns a request that is signed with the current time.
    private static func request(_ body: String) -> WebRequest {
        let time = "\(Int(Date.now.timeIntervalSince1970))"
        let signed = Data("v0:\(time):\(body)".utf8)
        let code = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: Data(secret.utf8)))
            .map { String(format: "%02x", $0) }.joined()
        return WebRequest(
            headers: ["x-slack-request-timestamp": time, "x-slack-signature": "v0=\(code)"], body: Array(body.utf8))
    }

    @Test func `buttons and forms work in HTTP mode`() async throws {
        try await Workspace.with { workspace in
            var settings = try workspace.settings
            settings.appToken = nil
            settings.signingSecret = Secret(Self.secret)
            let backend = SlackBackend(
                name: "slack", settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let routes = Dictionary(uniqueKeysWithValues: backend.routes.map { ($0.path, $0.handler) })
            let interactivity = try #require(routes["/slack/interactivity"])
            try await TestHost.unhurried(backend).run([Echo()]) {
                func press(_ payload: JSONValue) async throws -> Int {
                    let bytes: [UInt8] = try JSONValue.encode(payload)
                    let text = String(decoding: bytes, as: UTF8.self)
                        .addingPercentEncoding(withAllowedCharacters: .alphanumerics)
                    return await interactivity(Self.request("payload=\(text ?? "")")).status
                }
                let button: JSONValue = [
                    "type": "block_actions", "user": ["id": "U1"], "trigger_id": "1.2.x", "channel": ["id": "C1"],
                    "response_url": .string(workspace.address + "response"),
                    "actions": [["action_id": "petrel.0", "value": "echo pressed"]],
                ]
                while try await press(button) == 503 { await Task.yield() }
                // A repeated request, an interaction of another app, and malformed payloads.
                #expect(try await press(button) == 200)
                #expect(
                    try await press(["type": "block_actions", "user": ["id": "U1"], "actions": [["value": "x"]]]) == 200
                )
                #expect(await interactivity(Self.request("payload=%7B")).status == 400)
                #expect(await interactivity(Self.request("nothing=1")).status == 400)
                let view: JSONValue = [
                    "type": "view_submission", "user": ["id": "U2"], "trigger_id": "1.3.x",
                    "view": [
                        "callback_id": "petrel.form", "private_metadata": #"{"line":"echo form","channel":"C2"}"#,
                        "state": ["values": ["a": ["value": ["value": "b"]]]],
                    ],
                ]
                #expect(try await press(view) == 200)
                let texts = try await workspace.messages(2).compactMap { $0["text"]?.string }.sorted()
                #expect(texts == ["@alice in #ops: pressed", "@bob in #dev: form"])
            }
        }
    }

    private struct Many: BotModule {
        let name = "many"
        let commands = [
            Command("many", summary: "") { invocation in
                for number in 1...7 { invocation.say(Reply("part \(number)")) }
                return nil
            }
        ]
    }

    @Test func `without a bot token, slash commands and buttons are answered at their response URLs`() async throws {
        try await Workspace.with { workspace in
            var settings = try workspace.settings
            (settings.appToken, settings.signingSecret) = (nil, Secret(Self.secret))
            (settings.botToken, settings.hasBotToken) = (Secret(""), false)
            settings.slashCommands.insert("/many")
            let backend = SlackBackend(
                name: "slack", settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let routes = Dictionary(uniqueKeysWithValues: backend.routes.map { ($0.path, $0.handler) })
            let commands = try #require(routes["/slack/commands"])
            let interactivity = try #require(routes["/slack/interactivity"])
            let url = workspace.address + "response?channel=C1"
            @Sendable func escaped(_ text: String) -> String {
                text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
            }
            try await TestHost.unhurried(backend).run([Echo(), Many()]) {
                let line =
                    "command=%2Fecho&text=one&user_id=U1&channel_id=C1&trigger_id=t1&response_url=\(escaped(url))"
                while await commands(Self.request(line)).status == 503 { await Task.yield() }
                let answer = try await workspace.message()
                #expect(answer["text"] == "@U1 in #C1: one" && answer["response"] == true)
                let button: JSONValue = [
                    "type": "block_actions", "user": ["id": "U1"], "trigger_id": "1.2.x", "channel": ["id": "C1"],
                    "response_url": .string(url), "actions": [["action_id": "petrel.0", "value": "echo two"]],
                ]
                let payload = escaped(String(decoding: try JSONValue.encode(button) as [UInt8], as: UTF8.self))
                #expect(await interactivity(Self.request("payload=\(payload)")).status == 200)
                let pressed = try await workspace.message(after: 1)
                #expect(pressed["text"] == "@U1 in #C1: two" && pressed["response"] == true)
                let many = line.replacing("%2Fecho&text=one", with: "%2Fmany&text=").replacing("t1", with: "t2")
                #expect(await commands(Self.request(many)).status == 200)
                let last = try await workspace.message(after: 6)
                #expect(last["text"]?.string?.hasPrefix("part 5\n(Slack accepts five messages") == true, "\(last)")
                #expect(try await workspace.log().allSatisfy { $0["call"] == nil })
            }
        }
    }

    @Test func `a bot token is optional only with HTTP mode alone`() {
        for (keys, isNeeded) in [
            (["signing_secret"], false), (["app_token"], true), (["signing_secret", "app_token"], true), ([], true),
        ] {
            let values: [String: JSONValue] = ["signing_secret": "s", "app_token": "xapp-1"]
            let context = SettingsContext(folder: URL(fileURLWithPath: "/"), environment: [:])
            let section = SettingsSection(values.filter { keys.contains($0.key) }, at: "slack", in: context)
            let settings = SlackSettings(section, environment: [:])
            #expect(settings.hasBotToken == isNeeded)
            #expect(context.problems.contains { $0.path == "slack.bot_token" } == isNeeded)
            #expect(context.warnings.contains { $0.path == "slack.bot_token" } != isNeeded)
        }
    }

    /// - Parameter withSocket: enables Socket Mode as well, which Slack then disables.
    @Test(arguments: [false, true])
    func `events and slash commands work in HTTP mode, and repeated ones run once`(withSocket: Bool) async throws {
        try await Workspace.with { workspace in
            var settings = try workspace.settings
            settings.appToken = withSocket ? settings.appToken : nil
            settings.signingSecret = Secret(Self.secret)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let backend = SlackBackend(name: "slack", settings: settings, logger: logger)
            let routes = Dictionary(uniqueKeysWithValues: backend.routes.map { ($0.path, $0.handler) })
            let events = try #require(routes["/slack/events"])
            let commands = try #require(routes["/slack/commands"])
            let event = Self.request(
                #"{"type":"event_callback","event":{"type":"message","channel":"C1","user":"U1","ts":"1.1","text":"!echo one"}}"#
            )
            #expect(await events(event).status == 503)
            #expect(await events(WebRequest(headers: event.headers, body: event.body + [32])).status == 401)
            let hello = await events(Self.request(#"{"type":"url_verification","challenge":"c5"}"#))
            #expect(hello.status == 200 && String(decoding: hello.body, as: UTF8.self) == "c5")
            #expect(await events(Self.request("no json")).status == 400)
            #expect(await commands(Self.request("ssl_check=1&token=x")).status == 200)
            for body in ["text=x", "command=%2Fecho&text=a|b\u{e4}^%", "command=%zz", "=", "%"] {
                #expect(await commands(Self.request(body)).status == 400)
            }
            try await TestHost.unhurried(backend, logger: logger).run([Echo()]) {
                if withSocket {
                    try await workspace.untilOpen(sockets: 1)
                    try await workspace.order("disconnect", ["reason": "link_disabled", "close": true])
                }
                // Requests are rejected until the backend runs.
                while await events(event).status == 503 { await Task.yield() }
                for _ in 0..<3 { #expect(await events(event).status == 200) }
                var answer = try await workspace.message()
                #expect(answer["text"] == "@alice in #ops: one")
                let line = "command=%2Fecho&text=two+%26amp%3B&user_id=U2&user_name=bob&channel_id=C1&channel_name=ops"
                #expect(await commands(Self.request(line + "&trigger_id=t1")).status == 200)
                answer = try await workspace.message(after: 1)
                #expect(answer["text"] == "@bob in #ops: two &amp;")
                let count = try await workspace.messages(2).count
                #expect(count == 2)
            }
        }
    }
}
