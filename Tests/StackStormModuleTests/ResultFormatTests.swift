import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Results are plain text, or have the notation of the settings or of the alias.
@Suite(.timeLimit(.minutes(30))) struct ResultFormatTests {
    private static func said(
        _ message: String, extra: JSONValue = .object([:]),
        _ change: @Sendable @escaping (inout StackStormModuleSettings) -> Void = { _ in }
    ) async throws -> Reply? {
        let found = Locked<Reply?>(nil)
        let traits = BackendTraits(markdown: true, mrkdwn: true, threads: true)
        try await Bench.run(Bench.Options(traits: traits, module: change)) { bench in
            await bench.stackStorm.publish(
                payload: ["channel": "#ops", "message": .string(message), "extra": extra], route: "errbot")
            await bench.stackStorm.publish(payload: ["channel": "#ops", "message": "end"], route: "errbot")
            let reply = await bench.backend.next()?.reply
            found.withLock { $0 = reply }
        }
        return found.value
    }

    @Test(arguments: [
        "  + aws_instance.new\n  - aws_db_instance.prod (destroy)", "rm *.log,*.tmp and a*b*c and 2*3*4",
        "```web1 up```",
        "# title\n> quote\n1. one", "<!channel> <@U1> &lt;", "\\*escaped\\*", "| a | b |\n|---|---|",
    ]) func `every character of plain text is literal`(text: String) async throws {
        let reply = try await Self.said(text)
        #expect(reply?.text == text && reply?.style == .plain)
    }

    @Test(arguments: [
        ("a\r\nb\rc", "a\nb\nc"), ("\u{1B}[0;32mok: [web1]\u{1B}[0m", "ok: [web1]"), ("bell\u{7}\u{0}", "bell"),
    ]) func `line ends are normalized, and colours and control characters removed`(raw: String, shown: String)
        async throws
    {
        #expect(try await Self.said(raw)?.text == shown)
    }

    @Test(arguments: [" \n \n", "", "\r\n", "\u{200B}", "\u{1B}[0m"])
    func `a result of white space is not posted`(text: String) async throws {
        #expect(try await Self.said(text)?.text == "end")
    }

    @Test func `the settings and the alias select the notation`() async throws {
        #expect(try await Self.said("x") { $0.resultFormat = .markdown }?.style == .markdown)
        #expect(try await Self.said("x") { $0.resultFormat = .mrkdwn }?.style == .mrkdwn)
        let own = try await Self.said("x", extra: ["petrel": ["format": "markdown"], "slack": ["color": "good"]])
        #expect(own?.style == .markdown && own?.extra == ["slack": ["color": "good"]])
        let back = try await Self.said("x", extra: ["petrel": ["format": "text"]]) { $0.resultFormat = .mrkdwn }
        #expect(back?.style == .plain)
        let unknown = try await Self.said("x", extra: ["petrel": ["format": "html"]])
        #expect(unknown?.style == .plain)
    }

    @Test func `mentions of groups are removed unless they are allowed`() async throws {
        let text = "<!channel> <!here|here> <!subteam^S1|@ops> <@U1> <https://a.example|x>"
        let quiet = try await Self.said(text) { $0.resultFormat = .mrkdwn }
        #expect(quiet?.text == "@channel @here @ops <@U1> <https://a.example|x>")
        let loud = try await Self.said(text) {
            $0.resultFormat = .mrkdwn
            $0.allowsMentions = true
        }
        #expect(loud?.text == text)
    }

    @Test(arguments: [
        "<!chan\u{0}nel>", "<!chan\u{1B}[0mnel>", "<!channel|<!here>>", "<!channel|<!channel|x>>", "<\u{7}!here>",
        "<!subteam^S1|<!here>>", "<!channel>",
    ]) func `the removal of characters does not create a mention`(text: String) {
        let reply = ResultWriter(format: .mrkdwn).reply(text, .result, extra: nil)
        let cleaned = Mrkdwn.safe(ShownText.clean(reply.text))
        #expect(!cleaned.contains("<!"), "\(cleaned)")
    }

    @Test func `StackStorm's line breaks are found next to combining scalars`() throws {
        let json = #"{"message": "one{~}\u0301two{~}three", "channel": "ops"}"#
        let announcement = try JSONDecoder().decode(Announcement.self, from: Data(json.utf8))
        #expect(announcement.text == "one\n\u{301}two\nthree")
    }
}
