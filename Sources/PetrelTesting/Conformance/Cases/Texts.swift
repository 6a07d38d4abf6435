import PetrelKit
import PetrelSupport

extension BackendConformance {
    /// Cases about texts that the bot sends, compared by scalars.
    static let sentTexts: [ConformanceCase] =
        (OddText.all + [
            OddText(name: "emphasis", text: "*a* _b_ ~c~ **d** __e__ ~~f~~ a*b*c"),
            OddText(name: "angles", text: "<b> a < b & c > d <https://example.com|x> &amp;"),
            OddText(name: "backticks", text: "`a` ``b`` a`b"),
            OddText(name: "mentions", text: "@here @channel <!here> <@U1> <#C1> @everyone"),
            OddText(name: "pipes", text: "| a | b |\n|---|---|\n| 1 | 2 |"),
            OddText(name: "line-starts", text: "# a\n> b\n- c\n+ d\n1. e\n---\n    f"),
            OddText(name: "links", text: "https://example.com/a_b_c?d=*e*&f=~g~ and [h](https://example.com)"),
        ]).map { odd in
            ConformanceCase("send.\(odd.name)", "a plain text is shown literally: \(odd.name)") { scene in
                try await scene.hosted { host in
                    try host.chat.say(Reply(odd.text), at: scene.address())
                    // The host removes control characters.
                    let text = scene.stage.displayed(ShownText.clean(odd.text))
                    try scene.expect(text: try await scene.rest().text, is: text)
                }
            }
        } + [
            ConformanceCase("send.unclean", "texts that no host has cleaned are sent or rejected, and harm nothing") {
                scene in
                try await scene.direct { _ in
                    for odd in OddText.all {
                        do {
                            _ = try await scene.backend.send(Reply(odd.text), to: scene.address())
                        } catch let failure as SendFailure {
                            try scene.expect(failure.remedy, is: .never, "the remedy of the error for \(odd.name)")
                        }
                    }
                    _ = try await scene.backend.send(Reply("after"), to: scene.address())
                    _ = try await scene.shown(through: "after")
                }
            },
            ConformanceCase("send.blank", "blank texts are sent or rejected, and harm nothing") { scene in
                try await scene.direct { _ in
                    for text in ["", " ", "\n", "\u{200B}"] {
                        do {
                            _ = try await scene.backend.send(Reply(text), to: scene.address())
                        } catch let failure as SendFailure {
                            try scene.expect(
                                failure.remedy, is: .never, "the remedy of the error for \(text.debugDescription)")
                        }
                    }
                    _ = try await scene.backend.send(Reply("after"), to: scene.address())
                    _ = try await scene.shown(through: "after")
                }
            },
        ]

    /// Cases about Markdown, which is rendered or readable.
    static let markup: [ConformanceCase] = [
        ConformanceCase("markdown.words", "no word and no address of a Markdown text is lost") { scene in
            let words = ["Deploy", "web", "site", "https://example.com/x", "one", "two", "title"]
            let text = "# title\n\n**Deploy** of _web_ to [site](https://example.com/x)\n\n- one\n- two\n"
            let shown = try await scene.shown(markdown: text)
            for word in words { try scene.expect(shown.holds(word), "the word \(word)", got: shown) }
        },
        ConformanceCase("markdown.escaped", "escaped marks are shown literally") { scene in
            let text = "*a* _b_ ~c~ `d` <e> [f](g) & # h"
            let shown = try await scene.shown(markdown: Markdown.escaped(text))
            try scene.expect(text: shown, is: text)
        },
        ConformanceCase("markdown.code", "a code span is shown literally") { scene in
            let shown = try await scene.shown(markdown: "before \(Markdown.code("a*b*_c_ <d>")) after")
            try scene.expect(shown.holds("a*b*_c_ <d>"), "a*b*_c_ <d>", got: shown)
        },
        ConformanceCase("markdown.block", "a code block is shown literally, with its indentation") { scene in
            let shown = try await scene.shown(markdown: "before\n\n```\nif *a*:\n    b < c & d\n```\n")
            try scene.expect(shown.holds("if *a*:\n    b < c & d"), "the lines of the block", got: shown)
        },
        ConformanceCase("mrkdwn.words", "no word and no address of a text in Slack's markup is lost") { scene in
            try await scene.hosted { host in
                let text = "*Deploy* to <https://example.com/x|site> &amp; more"
                try host.chat.say(Reply(text, style: .mrkdwn), at: scene.address())
                let shown = try await scene.rest().text
                for word in ["Deploy", "site", "https://example.com/x", "& more"] {
                    try scene.expect(shown.holds(word), "the word \(word)", got: shown)
                }
            }
        },
    ]
}

extension ConformanceScene {
    /// Sends a Markdown text through a host, and returns the text that people see, without invisible characters.
    fileprivate func shown(markdown text: String) async throws -> String {
        let shown = Locked("")
        try await hosted { host in
            try host.chat.say(Reply(text, style: .markdown), at: address())
            let seen = try await rest().text.unicodeScalars.filter { $0.properties.generalCategory != .format }
            shown.withLock { $0 = String(String.UnicodeScalarView(seen)) }
        }
        return shown.value
    }
}
