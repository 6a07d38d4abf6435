import PetrelKit
import Testing

@testable import SlackBackend

@Suite struct TextTests {
    @Test(arguments: [
        ("plain", "plain"), ("a &lt;b&gt; &amp;amp; c", "a <b> &amp; c"),
        ("<http://example.com|example.com>", "example.com"),
        ("<https://example.com/a?b=1&amp;c=2>", "https://example.com/a?b=1&c=2"),
        ("<https://example.com|the runbook>", "https://example.com"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<tel:5551234567|555-123-4567>", "555-123-4567"), ("<tel:5551234567>", "5551234567"),
        ("<mailto:a@b.example|A@b.example>", "A@b.example"), ("<http://Example.com/|Example.com>", "Example.com"),
        ("<https://e.example/%C3%BC|https://e.example/ü>", "https://e.example/ü"),
        ("<https://evil.example|https://bank.example>", "https://evil.example"), ("<#C1|>", "#C1"),
        ("<!here|@here> <!everyone>", "@here @everyone"), ("<\u{338}x", "<\u{338}x"), ("a < b\n<@U1>", "a < b\n@alice"),
        ("<mailto:a@b.example>", "a@b.example"), ("<@U1> and <@U7>", "@alice and @U7"), ("<@U9|carol>", "@carol"),
        ("<#C1|ops> <#C7>", "#ops #C7"), ("<!here> <!subteam^S1|@infra> <!subteam^S2>", "@here @infra @S2"),
        ("<!date^1392734382^{date}|18 February>", "18 February"), ("1 < 2", "1 < 2"), ("", ""), ("<>", ""),
        ("&unknown; &", "&unknown; &"),
    ]) func `message text is decoded once`(raw: String, text: String) {
        #expect(SlackEscapes.decode(raw) { ["U1": "alice"][$0] }.text == text)
    }

    @Test(arguments: [
        ("a & b < c", "a &amp; b &lt; c"), ("**bold** and *it*", "*bold* and _it_"), ("`a*b*` x", "`a*b*` x"),
        ("# Title **x**", "*Title x*"), ("- one\n* two", "• one\n• two"),
        ("[label](https://e.example/a)", "<https://e.example/a|label>"),
        ("```python\na < **b**\n```", "```\na &lt; **b**\n```"), ("~~gone~~", "~gone~"),
        ("rm *.log and *.tmp", "rm *.log and *.tmp"),
        ("snake_case_name", "snake_case_name"), ("\\*not\\*", "*not*"),
        ("a__b__c and _it_", "a__b__c and _it_"), ("``a`b`` and `c`", "`aˋb` and `c`"),
        ("`!st2 x` or `!st2 y`?", "`!st2 x` or `!st2 y`?"),
        ("- one\r\n- two\r\n# T", "• one\n• two\n*T*"),
        ("“claen \\*.log on \\*web\\*”", "“claen *.log on *web*”"),
    ]) func `Markdown is converted to Slack's notation`(markdown: String, mrkdwn: String) {
        #expect(MarkdownNotation.mrkdwn.rewrite(markdown) == mrkdwn)
    }
}
