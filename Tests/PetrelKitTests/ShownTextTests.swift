import PetrelSupport
import Testing

@testable import PetrelKit

@Suite struct ShownTextTests {
    @Test(arguments: [
        ("plain\n\ttext", "plain\n\ttext"), ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("\u{1B}[0;32mok: [web1]\u{1B}[0m", "ok: [web1]"),
        ("\u{9B}1mbold", "bold"), ("\u{1B}]0;title\u{07}x", "x"), ("\u{1B}]8;;https://a\u{1B}\\b", "b"),
        ("\u{1B}]never ended\nnext", "never ended\nnext"), ("\u{1B}(Bx", "x"), ("a\u{0}\u{8}\u{7F}b", "ab"),
        (" \n \n", ""), ("\u{3000}\u{200B}\r\n", ""), ("", ""), ("grüße 🚀", "grüße 🚀"), ("a\u{0C}b", "a\nb"),
    ]) func `terminal control sequences are removed from text`(raw: String, shown: String) {
        #expect(ShownText.clean(raw) == shown)
    }

    @Test(
        arguments: [
            ("```web1 up```", [nil], ["web1 up"]), ("```\r\nfoo\r\nbar\r\n```", [nil], ["foo\nbar"]),
            ("```json\n{}\n```", ["json"], ["{}"]), ("```web1\nup\n```", [nil], ["web1\nup"]),
            ("```foo\nbar```", [nil], ["foo\nbar"]), ("````\n```\n````", [nil], ["```"]),
        ] as [(String, [String?], [String])])
    func `a fence must be closed`(text: String, languages: [String?], codes: [String]) {
        let blocks = TextBlock.blocks(of: text)
        let found = blocks.compactMap { block -> (String?, String)? in
            guard case .code(let language, let lines) = block else { return nil }
            return (language.map(String.init), lines.joined(separator: "\n"))
        }
        #expect(found.map(\.0) == languages && found.map(\.1) == codes && blocks.count == codes.count)
    }

    @Test(arguments: ["```\nopen", "a ```b``` c", "``````", "```a``` and ```b```", "``` ```"])
    func `an unclosed fence is text`(text: String) {
        #expect(TextBlock.blocks(of: text) == [.lines(text.textLines)])
    }

    @Test(
        arguments: [
            (
                "(at https://st2.example.com/#/history/5a/general). See https://x.example.com/a, ok",
                ["https://st2.example.com/#/history/5a/general", "https://x.example.com/a"]
            ),
            ("https://en.example/Foo_(bar)", ["https://en.example/Foo_(bar)"]), ("<https://a.b/c>", ["https://a.b/c"]),
            ("HTTP://A.B/?!", ["HTTP://A.B/"]), ("xhttps://a.b https://", []),
            ("[https://bank.example](https://evil.example/x)", ["https://bank.example", "https://evil.example/x"]),
        ] as [(String, [String])]) func `closing punctuation is not part of an address`(
            text: String, addresses: [String]
        )
    {
        #expect(WebLink.ranges(in: text[...]).map { String(text[$0]) } == addresses)
    }

    @Test(arguments: [
        ("https://bank.example", "https://evil.example/x", true), ("bank.example", "https://evil.example/x", true),
        ("bank.example", "https://bank.example.evil.example/", true),
        ("bank.example", "https://bank.example@e.example", true),
        ("see bank.example now", "https://evil.example", true), ("bank.example", "https://bank.example/login", false),
        ("the runbook", "https://evil.example", false), ("https://a.b/c/", "https://a.b/c", false),
        ("v1.2", "https://a.b", false),
    ]) func `a label that looks like another address is detected`(label: String, address: String, misleads: Bool) {
        #expect(WebLink.misleads(label, about: address) == misleads)
    }

    @Test(arguments: ["claen *.log on *web*", "a`b``c", "- x\n# y\n+ z", "[a](https://b) <c> & \\d_e_", "```\nx\n```"])
    func `escaped characters are preserved`(text: String) {
        #expect(Markdown.readable(Markdown.escaped(text)) == text)
    }

    /// Texts that took the square of their length, which is hours for the output of a program.
    @Test(
        .timeLimit(.minutes(3)),
        arguments: [
            "\u{1B}]", "h ", "http://a)", "[", "[a](", "[a](http://b", "http://", "[a](http://b ", "_ ", "**a ",
        ])
    func `a long text takes linear time`(part: String) {
        let text = String(repeating: part, count: 200_000 / part.utf8.count)
        _ = ShownText.clean(text)
        _ = WebLink.ranges(in: text[...])
        let notation = MarkdownNotation(
            bold: "*", italic: "_", struck: "~", keepsLanguages: true, escape: { $0 }, link: { "\($0) \($1)" })
        #expect(!notation.rewrite(text).isEmpty)
    }
}
