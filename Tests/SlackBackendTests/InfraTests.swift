import AWSClient
import Crypto
import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule
@testable import SlackBackend

/// `/infra-search` in a simulated workspace, with instances from a closure.
@Suite(.timeLimit(.minutes(30))) struct InfraTests {
    private static let id = "i-0123456789abcdef0"

    private static func module(
        _ host: TestHost, patience: Duration = .seconds(3_600), until goesOn: Signal? = nil
    ) throws -> InfraModule {
        let arn = try #require(RoleARN("arn:aws:iam::111111111111:role/PetrelInspection"))
        let account = InfraAccount(name: "production", role: AssumableRole(arn: arn), regions: ["eu-west-2"])
        var settings = InfraSettings(accounts: [account], environment: [:])
        settings.patience = patience
        settings.limit = .seconds(300)
        let clock = AWSClock(local: { 0 }) { _, _ in }
        return InfraModule(settings, host: host.access(for: "infra"), clock: clock, now: { .now }) {
            filters, _, _, body in
            await goesOn?.wait()
            if filters.first?.values == [Self.id] { body(Instance(id: Self.id)) }
            guard filters.first?.values == ["many*"] else { return }
            for number in 100..<124 {
                var instance = Instance(id: "i-00000\(number)")
                instance.tags["Name"] = "many-\(number)-" + String(repeating: "x", count: 60)
                body(instance)
            }
        }
    }

    private static func slash(_ text: String) -> [String: JSONValue] {
        ["command": "/infra-search", "text": .string(text), "user": "U2", "channel": "C3"]
    }

    @Test func `a slash command is answered in blocks, and what only the asker needs privately`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat(
                { [try Self.module($0)] }, change: { $0.slashCommands = ["/infra-search"] }
            ) { workspace in
                try await workspace.order("slash", Self.slash(Self.id))
                let answer = try await workspace.message()
                #expect(answer["response_type"] == "in_channel" && answer["channel"] == "C3")
                let blocks = try #require(answer["blocks"]?.array)
                #expect(blocks[0]["text"]?["text"]?.string?.hasPrefix("`\(Self.id)` is an `unknown` instance") == true)
                #expect(blocks[1]["elements"]?.array?[0]["text"]?.string?.contains("|Console> · <https://") == true)
                for (number, text) in ["web", "i-12"].enumerated() {
                    try await workspace.order("slash", Self.slash(text))
                    let answer = try await workspace.message(after: number + 1)
                    #expect(answer["response_type"] == "ephemeral")
                    #expect(answer["text"]?.string?.contains("/infra-search ") == true)
                }
            }
        }
    }

    @Test func `a long list is one message, in blocks`() async throws {
        try await Workspace.with { workspace in
            try await workspace.chat({ [try Self.module($0)] }) { workspace in
                try await workspace.say("!infra search many*")
                let blocks = try #require(try await workspace.message()["blocks"]?.array)
                let text = blocks.compactMap { $0["text"]?["text"]?.string }.joined(separator: "\n")
                for number in 100..<120 { #expect(text.components(separatedBy: "many-\(number)-").count == 2) }
                #expect(text.contains("… and 4 more."))
                try await workspace.say("!infra search i-12")
                #expect(try await workspace.message(after: 1)["text"]?.string?.hasPrefix("An instance ID has") == true)
            }
        }
    }

    @Test func `a search that takes long is announced, and then answered`() async throws {
        let goesOn = Signal()
        try await Workspace.with { workspace in
            try await workspace.chat(
                { [try Self.module($0, patience: .zero, until: goesOn)] },
                change: { $0.slashCommands = ["/infra-search"] }
            ) { workspace in
                // The answer to a slash command cannot be edited, so it is a message of its own.
                try await workspace.order("slash", Self.slash(Self.id))
                // It would remain, so that only the asker sees the notice.
                let notice = try await workspace.message()
                #expect(notice["text"] == "Looking in 1 account…" && notice["response_type"] == "ephemeral")
                try await workspace.say("!infra search \(Self.id)")
                #expect(try await workspace.message(after: 1)["text"] == "Looking in 1 account…")
                goesOn.open()
                let messages = try await workspace.messages(until: "chat.update", times: 1)
                #expect(messages.contains { $0["text"]?.string?.contains(Self.id) == true })
                _ = try await workspace.messages(3)
                let updates = try await workspace.calls(of: "chat.update")
                #expect(updates.count == 1 && updates[0]["blocks"]?.array?.isEmpty == false)
            }
        }
    }

    @Test func `only signed requests are answered in HTTP mode`() async throws {
        let secret = "8f742231b10e8888abcd99yyyzzz85a5"
        try await Workspace.with { workspace in
            var settings = try workspace.settings
            settings.appToken = nil
            settings.signingSecret = Secret(secret)
            settings.slashCommands = ["/infra-search"]
            let backend = SlackBackend(
                name: "slack", settings: settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let commands = try #require(backend.routes.first { $0.path == "/slack/commands" }?.handler)
            let body =
                "command=%2Finfra-search&text=\(Self.id)&user_id=U2&user_name=bob&channel_id=C1&channel_name=ops&trigger_id=t"
            let time = "\(Int(Date.now.timeIntervalSince1970))"
            let code = HMAC<SHA256>.authenticationCode(
                for: Data("v0:\(time):\(body)".utf8), using: SymmetricKey(data: Data(secret.utf8)))
            let signature = "v0=" + code.map { String(format: "%02x", $0) }.joined()
            var headers = ["x-slack-request-timestamp": time, "x-slack-signature": signature]
            let signed = WebRequest(headers: headers, body: Array(body.utf8))
            headers["x-slack-signature"] = nil
            let unsigned = WebRequest(headers: headers, body: Array(body.utf8))
            try await TestHost.unhurried(backend).run({ [try Self.module($0)] }) {
                while await commands(signed).status == 503 { await Task.yield() }
                #expect(await commands(unsigned).status == 401)
                #expect(await commands(WebRequest(headers: signed.headers, body: signed.body + [32])).status == 401)
                let text = try await workspace.message()["text"]?.string
                #expect(text?.contains(Self.id) == true)
                let count = try await workspace.messages(1).count
                #expect(count == 1)
            }
        }
    }
}
