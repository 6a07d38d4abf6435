import Foundation
import Testing

@testable import SlackBackend

/// Tests of the response URLs and triggers of slash commands and interactions.
@Suite struct PromptTests {
    private static let url = URL(string: "https://hooks.slack.example/1") ?? URL(fileURLWithPath: "/")

    @Test func `a response URL is used five times, and that of an interaction only for private replies`() {
        let prompts = SlackPrompts()
        prompts.add("command", url: Self.url, trigger: "t1", .command)
        prompts.add("button", url: Self.url, trigger: "t2", .interaction)
        prompts.add("chat", url: Self.url, trigger: "t3", .privateCommand)
        for use in 1...5 {
            let taken = prompts.takeURL("command", isPrivate: false)
            #expect(taken?.isPrivate == false && taken?.isLast == (use == 5))
        }
        #expect(prompts.takeURL("command", isPrivate: false) == nil)
        #expect(prompts.takeURL("button", isPrivate: false) == nil)
        #expect(prompts.takeURL("button", isPrivate: true)?.isPrivate == true)
        #expect(prompts.takeURL("chat", isPrivate: false)?.isPrivate == true)
        prompts.drop("chat")
        #expect(prompts.takeURL("chat", isPrivate: true) == nil)
        #expect(prompts.takeURL(nil, isPrivate: true) == nil && prompts.takeURL("unknown", isPrivate: true) == nil)
    }

    @Test func `a trigger is used once, and a form uses the response URL of its opener`() {
        let prompts = SlackPrompts()
        prompts.add("command", url: Self.url, trigger: "t1", .command)
        #expect(prompts.takeTrigger("command") == "t1" && prompts.takeTrigger("command") == nil)
        prompts.add("form", trigger: "t2", continuing: "command")
        #expect(prompts.takeTrigger("form") == "t2")
        #expect(prompts.takeURL("form", isPrivate: false)?.url == Self.url)
        prompts.add("late", trigger: "t3", continuing: "forgotten")
        #expect(prompts.takeTrigger("late") == "t3" && prompts.takeURL("late", isPrivate: true) == nil)
    }

    @Test func `the oldest prompts are removed first`() {
        let prompts = SlackPrompts()
        for number in 0..<1_200 { prompts.add("\(number)", url: Self.url, trigger: "t\(number)", .command) }
        #expect(prompts.takeTrigger("199") == nil && prompts.takeTrigger("200") == "t200")
        #expect(prompts.takeTrigger("1199") == "t1199")
    }
}
