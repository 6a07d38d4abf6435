import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import SlackBackend

/// Tests of the content that is sent to Slack, and of Slack's limits.
@Suite struct ContentTests {
    private static func blocks(_ reply: Reply) -> [JSONValue] {
        SlackContent.arguments(reply)["blocks"]?.array ?? []
    }

    @Test func `a long text with buttons is split into sections at line ends`() {
        let text = (0..<400).map { "<line> \($0)" }.joined(separator: "\n")
        let blocks = Self.blocks(Reply(text, style: .markdown, buttons: [Button("Go", line: "go")]))
        let parts = blocks.dropLast().compactMap { $0["text"]?["text"]?.string }
        #expect(parts.count == 3 && parts.allSatisfy { $0.count <= 3_000 })
        #expect(parts.joined(separator: "\n") == SlackEscapes.encode(text))
        #expect(blocks.last?["elements"]?.array?.first?["value"] == "go")
    }

    @Test func `marks of Markdown that are text are sent as rich text`() {
        let text =
            "**Did** you mean [it](https://e.example/a) or `x*` or \\*.log\\*?\n\n```\na *b*\n```\nhttps://e.example/_b_c"
        let blocks = Self.blocks(Reply(text, style: .markdown))
        let expected: JSONValue = [
            "type": "rich_text",
            "elements": [
                [
                    "type": "rich_text_section",
                    "elements": [
                        ["type": "text", "text": "Did", "style": ["bold": true]],
                        ["type": "text", "text": " you mean "],
                        ["type": "link", "url": "https://e.example/a", "text": "it"], ["type": "text", "text": " or "],
                        ["type": "text", "text": "x*", "style": ["code": true]],
                        ["type": "text", "text": " or *.log*?"],
                        ["type": "text", "text": "\n"],
                    ],
                ],
                ["type": "rich_text_preformatted", "elements": [["type": "text", "text": "a *b*"]]],
                ["type": "rich_text_section", "elements": [["type": "link", "url": "https://e.example/_b_c"]]],
            ],
        ]
        #expect(blocks == [expected])
    }

    @Test(arguments: [
        "**Bold**, _italic_ and `a*b*`", "a snake_case_name and 2 * 3", "https://e.example/*a*b", "```\n*a*\n```",
        "# Title",
    ]) func `other Markdown is sent as text`(markdown: String) {
        #expect(Self.blocks(Reply(markdown, style: .markdown)).isEmpty)
    }

    @Test func `foreign buttons get another action ID, and own buttons are omitted if the block limit is reached`() {
        let evil: JSONValue = [
            "type": "actions", "elements": [["type": "button", "action_id": "petrel.0", "value": "st2 purge"]],
        ]
        var extra: [String: JSONValue] = ["slack": ["blocks": [evil]]]
        let blocks = Self.blocks(Reply("x", extra: extra, buttons: [Button("Go", line: "go")]))
        #expect(blocks.map { $0["elements"]?.array?.first?["action_id"]?.string } == ["foreign.petrel.0", "petrel.0"])
        extra = ["slack": ["blocks": .array(Array(repeating: ["type": "divider"], count: 50))]]
        #expect(Self.blocks(Reply("x", extra: extra, buttons: [Button("Go", line: "go")])).count == 50)
    }

    @Test func `every key of an attachment is sent unchanged`() {
        let keys: [String: JSONValue] = [
            "color": "#36a64f", "pretext": "before", "author_name": "st2", "author_link": "https://st2.example",
            "author_icon": "https://st2.example/i.png", "title": "Title", "title_link": "https://st2.example/t",
            "fields": [
                ["title": "Status", "value": "ok", "short": true], ["title": "Log", "value": "…", "short": false],
            ],
            "image_url": "https://st2.example/a.png", "thumb_url": "https://st2.example/b.png", "footer": "StackStorm",
            "footer_icon": "https://st2.example/f.png", "ts": 123_456_789, "mrkdwn_in": ["text", "fields"],
        ]
        let arguments = SlackContent.arguments(Reply("a < b", extra: ["slack": .object(keys)]))
        let attachment = arguments["attachments"]?.array?.first?.object ?? [:]
        #expect(attachment.filter { keys[$0.key] != nil } == keys)
        #expect(attachment["text"] == "a &lt; b" && attachment["fallback"] == "a &lt; b" && arguments["text"] == nil)
        let several: JSONValue = [["text": "one", "color": "good"], ["text": "two"]]
        let whole = SlackContent.arguments(Reply("x", extra: ["slack": ["attachments": several]]))
        #expect(whole["attachments"] == several && whole["text"] == "x")
    }

    @Test func `a form respects Slack's limits`() {
        let form = Form(
            String(repeating: "t", count: 40),
            fields: [
                Form.Field("n", kind: .integer, initial: "{{ config_context.n }}"),
                Form.Field("m", kind: .integer, initial: "3"), Form.Field("f", kind: .number, initial: "1.5"),
                Form.Field("c", kind: .choice((0..<250).map { "choice \($0)" })),
                Form.Field("b", kind: .boolean, isRequired: true, initial: "false"),
                Form.Field("t", hint: "why", kind: .lines, initial: String(repeating: "x", count: 4_000)),
            ], submit: "Run", line: "st2 form x")
        let view = SlackView.view(
            of: form, SlackView.Origin(line: "st2 form x", channel: "C1", thread: "1.5", opener: "C1/~t/U1"))
        #expect(view["title"]?["text"]?.string?.count == 24)
        let elements = (view["blocks"]?.array ?? []).compactMap { $0["element"] }
        #expect(elements.map { $0["initial_value"]?.string } == [nil, "3", "1.5", nil, nil, nil])
        #expect(elements[3]["option_groups"]?.array?.map { $0["options"]?.array?.count } == [100, 100, 50])
        #expect(elements[4]["initial_option"]?["value"] == "false")
        let origin = view["private_metadata"]?.string.flatMap(SlackView.Origin.init)
        #expect(origin?.channel == "C1" && origin?.thread == "1.5" && origin?.opener == "C1/~t/U1")
    }

    @Test(
        arguments: [
            (["id": "U1", "team_id": "T1"], true), (["id": "U1"], true), (["id": "U1", "team_id": "T2"], false),
            (["id": "U1", "is_stranger": true], false),
            (["team_id": "T2", "enterprise_user": ["enterprise_id": "E1"]], true),
            (["team_id": "T2", "enterprise_user": ["enterprise_id": "E2"]], false),
        ] as [(JSONValue, Bool)]) func `users of other workspaces are detected`(user: JSONValue, isOurs: Bool) throws
    {
        let identity = try SlackIdentity(["user_id": "U0", "team_id": "T1", "enterprise_id": "E1"])
        #expect(identity.isOurs(user) == isOurs)
    }

    @Test func `each missing scope is reported with the steps that add it`() {
        let granted = "chat:write,channels:history,groups:history,im:history,im:write,files:write,commands,users:read"
        let advice = SlackScopes.advice(granted: granted, reacts: true)
        #expect(advice.count == 5 && advice.allSatisfy { $0.contains("OAuth & Permissions") })
        #expect(SlackScopes.advice(granted: granted, reacts: false).count == 4)
    }

    @Test(arguments: [
        "  + aws\n  - aws2", "rm *.log,*.tmp and a*b*c and 2*3*4", "[https://bank.example](https://evil.example/x)",
    ])
    func `plain text is displayed literally`(text: String) {
        let arguments = SlackContent.arguments(Reply(text))
        #expect(arguments["text"] == .string(text) && arguments["mrkdwn"] == false && arguments["blocks"] == nil)
    }

    @Test func `a code fence in plain text becomes a block`() {
        let arguments = SlackContent.arguments(Reply("a *b*\n```web1 <up>```"))
        #expect(arguments["text"] == "a *b*\n```web1 &lt;up&gt;```")
        let elements = arguments["blocks"]?.array?.first?["elements"]?.array
        #expect(elements?.map { $0["type"]?.string } == ["rich_text_section", "rich_text_preformatted"])
        #expect(elements?.last?["elements"]?.array?.first?["text"] == "web1 <up>")
    }

    @Test(arguments: [
        (Reply("**b**", style: .markdown), "*b*"),
        (Reply("*b* <https://a.b|x> <!here> 1<2", style: .mrkdwn), "*b* <https://a.b|x> <!here> 1&lt;2"),
        (
            Reply("[https://bank.example](https://evil.example/x)", style: .markdown),
            "https://bank.example (<https://evil.example/x|https://evil.example/x>)"
        ),
        (Reply("<https://evil.example|bank.example>", style: .mrkdwn), "bank.example (<https://evil.example>)"),
    ]) func `each style is converted to Slack's notation`(reply: Reply, text: String) {
        #expect(SlackContent.text(of: reply) == text)
    }

    @Test func `closing punctuation is not part of a link`() {
        let text =
            "(details available at https://st2.example.com/#/history/5a/general). See https://x.example.com/a, ok"
        let parts = SlackRichText.block(text)["elements"]?.array?.first?["elements"]?.array
        #expect(
            parts?.compactMap { $0["url"]?.string }
                == ["https://st2.example.com/#/history/5a/general", "https://x.example.com/a"])
        #expect(parts?.last?["text"] == ", ok")
    }

    @Test func `the manifest contains every required scope and the event for group direct messages`() throws {
        let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/Slack.md")
        let text = try String(contentsOf: docs, encoding: .utf8)
        let scopes = SlackScopes.advice(granted: "", reacts: true).compactMap {
            $0.firstMatch(of: /the scope ([a-z_:]+),/).map { String($0.1) }
        }
        #expect(scopes.count == 13 && scopes.contains("mpim:history"))
        for name in scopes + ["message.mpim"] { #expect(text.contains("- \(name)\n"), "\(name)") }
    }
}
