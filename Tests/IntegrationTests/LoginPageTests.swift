import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import PetrelWeb
import ServiceLifecycle
import StackStormClient
import StackStormModule
import StackStormSimulator
import Testing

@testable import PetrelApp

/// A complete Petrel behind nginx, with a simulated StackStorm and a real browser.
@Suite(.timeLimit(.minutes(30)), .serialized) struct LoginPageTests {
    private static func fill(
        _ browser: Browser, word: String = "tulip-garden", _ user: String = "alice", _ password: String? = nil
    ) async throws {
        try await browser.type(word, into: "#word")
        try await browser.type(user, into: "#username")
        try await browser.type(password ?? "password-of-\(user)", into: "#password")
        try await browser.click("#submit")
    }

    /// Confirms both accounts.
    private static func agree(_ browser: Browser) async throws {
        _ = try await browser.see("#confirm-account")
        try await browser.click("#agree")
    }

    /// The expected and the actual text of a scenario.
    private struct Row {
        var scenario: String
        var expected: String
        var seen: String
    }

    @Test func `a browser logs in through nginx, in every way and against every obstacle`() async throws {
        let rows = Locked<[Row]>([])
        @Sendable func note(_ scenario: String, _ expected: String, _ seen: String) {
            let line = seen.split(separator: "\n").joined(separator: " ")
            rows.withLock { $0.append(Row(scenario: scenario, expected: expected, seen: line)) }
            #expect(seen.contains(expected), "\(scenario)")
        }
        try? FileManager.default.removeItem(at: LoginHouse.output)
        try FileManager.default.createDirectory(at: LoginHouse.output, withIntermediateDirectories: true)
        let output = LoginHouse.output
        try await LoginHouse.run { house in
            try await Browser.run(in: house.folder) { browser in
                // By password; the link is removed from the address bar and the history.
                var link = try await house.link()
                try await browser.go(to: link)
                note("the link is opened", "@alice on test", try await browser.see("#who"))
                try await browser.capture("1-form", into: output)
                #expect(try await browser.run("return location.href").string == house.page)
                #expect(try await browser.run("return document.cookie").string == "", "the cookie is HttpOnly")
                #expect(try await browser.namelessControls().isEmpty)
                let inside = try await browser.pageSecrets(under: house.page)
                #expect(inside.count >= 2 && inside.allSatisfy { $0.count == 64 })
                house.secrets.withLock { $0.formUnion(inside) }
                try await browser.click("#submit")
                note(
                    "nothing is filled in", "The word you chose in chat is required.",
                    try await browser.see("#error"))
                try await Self.fill(browser)
                note("both accounts are named: StackStorm's", "alice", try await browser.see("#confirm-account"))
                note("both accounts are named: chat's", "@alice on test", try await browser.see("#confirm-person"))
                #expect(try await browser.namelessControls().isEmpty)
                try await browser.capture("2-confirm", into: output)
                try await browser.click("#agree")
                note("password", "now run in StackStorm as alice, for 1 h", try await browser.see("#outcome"))
                try await browser.capture("2a-accepted", into: output)
                #expect(await house.told().hasPrefix("You are logged in to StackStorm as alice, for 1 h"))
                house.backend.type("!st2 echo hello", as: "@alice")
                #expect(await house.told().hasPrefix("core.echo started"))
                note("then the alias runs in chat", "stdout : hello", await house.told())
                #expect(await house.stackStorm.asker(of: "POST /api/v1/aliasexecution") == "alice")

                // By token, for a user with other permissions.
                let client = try StackStormClient(
                    try LoginHouse.stackStorm(house.stackStormPort),
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
                let token = try await client.prove(.password(name: "bob", password: Secret("password-of-bob")))
                    .credential.value
                    .reveal()
                house.secrets.withLock { _ = $0.insert(token) }
                try await browser.go(to: try await house.link("@bob"))
                _ = try await browser.see("#who")
                try await browser.click("input[value=token]")
                try await browser.capture("3-form-token", into: output)
                try await browser.type("tulip-garden", into: "#word")
                try await browser.type(token, into: "#token")
                try await browser.click("#submit")
                try await Self.agree(browser)
                note("token", "now run in StackStorm as bob", try await browser.see("#outcome"))
                _ = await house.told()
                house.backend.type("!st2 restart nginx on web1", as: "@bob")
                note("bob may not run what alice may", "doesn't have required permission", await house.told())
                house.backend.type("!st2 restart nginx on web1", as: "@alice")
                note("alice may", "Restarting nginx", await house.told())
                _ = await house.told()

                // By API key.
                await house.stackStorm.addAPIKey("key-of-alice", for: "alice")
                try await browser.go(to: try await house.link("@carol"))
                _ = try await browser.see("#who")
                try await browser.click("input[value=api_key]")
                try await browser.capture("4-form-api-key", into: output)
                try await browser.type("tulip-garden", into: "#word")
                try await browser.type("key-of-alice", into: "#api_key")
                try await browser.click("#submit")
                try await Self.agree(browser)
                note("API key", "now run in StackStorm as alice", try await browser.see("#outcome"))
                _ = await house.told()

                // A wrong word, three times.
                link = try await house.link("@dave")
                try await browser.go(to: link)
                _ = try await browser.see("#who")
                try await Self.fill(browser, word: "hyacinth")
                note(
                    "wrong word", "That is not the word that you chose in chat. 2 attempts are left.",
                    try await browser.see("#error"))
                try await browser.capture("5-wrong-word", into: output)
                for left in ["One attempt is left.", "this link"] {
                    try await browser.type("hyacinth", into: "#word")
                    try await browser.click("#submit")
                    if left.hasPrefix("One") { #expect(try await browser.see("#error").hasSuffix(left)) }
                }
                note("wrong word three times", "this link is no longer valid", try await browser.see("#outcome"))
                try await browser.capture("6-ended", into: output)
                note("it is told in chat", "withdrawn after too many failed attempts", await house.told())

                // A wrong password counts as one failed attempt.
                try await browser.go(to: try await house.link("@dan"))
                _ = try await browser.see("#who")
                try await Self.fill(browser, "alice", "wrong-password")
                note(
                    "wrong password", "StackStorm does not accept this user name and password. 2 attempts are left.",
                    try await browser.see("#error"))
                try await browser.type("password-of-alice", into: "#password")
                try await browser.click("#submit")
                try await Self.agree(browser)
                note(
                    "then the right one", "now run in StackStorm as alice", try await browser.see("#outcome"))
                _ = await house.told()

                // Opened twice: the second browser sees an error, and the first can still log in.
                link = try await house.link("@erin")
                let first = try await browser.tab()
                try await browser.go(to: link)
                _ = try await browser.see("#who")
                let second = try await browser.newTab()
                try await browser.go(to: link)
                note("the link opened twice", "This link was opened before", try await browser.see("#outcome"))
                try await browser.capture("7-opened-twice", into: output)
                note("its owner is told", "Your login link was opened a second time", await house.told())
                try await browser.show(first)
                try await Self.fill(browser)
                try await Self.agree(browser)
                note(
                    "the first page goes on", "now run in StackStorm as alice",
                    try await browser.see("#outcome"))
                _ = await house.told()
                try await browser.show(second)
                try await browser.go(to: link)
                note("a used link", "This login is complete", try await browser.see("#outcome"))
                house.backend.type("!st2 echo still", as: "@erin")
                note("who logged in with the used link", "core.echo started", await house.told())
                note("the login of the used link stands", "stdout : still", await house.told())

                // A link preview sends only a GET request, without the fragment.
                link = try await house.link("@frank")
                let preview = try await house.web.execute(HTTPClientRequest(url: link), timeout: .minutes(10))
                #expect(preview.status == .ok)
                try await browser.go(to: link)
                note("after a link preview (GET)", "@frank on test", try await browser.see("#who"))

                // Expired before it was opened, and while it is open.
                link = try await house.link("@grace")
                house.later.withLock { $0 += .seconds(601) }
                try await browser.go(to: link)
                note("an expired link", "This link has expired", try await browser.see("#outcome"))
                try await browser.capture("8-expired", into: output)
                try await browser.go(to: try await house.link("@grace"))
                _ = try await browser.see("#who")
                house.later.withLock { $0 += .seconds(601) }
                try await Self.fill(browser)
                note("expired while open", "This link has expired", try await browser.see("#outcome"))

                // StackStorm is down: neither the link nor an attempt is used up.
                try await browser.go(to: try await house.link("@heidi"))
                _ = try await browser.see("#who")
                await house.stackStorm.setFault(.status(503), for: .tokens)
                try await Self.fill(browser)
                note("StackStorm down", "StackStorm cannot be reached at the moment", try await browser.see("#error"))
                try await browser.capture("9-stackstorm-down", into: output)
                await house.stackStorm.setFault(nil, for: .tokens)
                try await browser.click("#submit")
                try await Self.agree(browser)
                note(
                    "StackStorm up again", "now run in StackStorm as alice", try await browser.see("#outcome")
                )
                _ = await house.told()

                // Two tabs with one link each.
                let (one, two) = (try await house.link("@ivan"), try await house.link("@judy"))
                try await browser.show(first)
                try await browser.go(to: one)
                _ = try await browser.see("#who")
                try await browser.show(second)
                try await browser.go(to: two)
                _ = try await browser.see("#who")
                try await browser.show(first)
                try await Self.fill(browser)
                try await Self.agree(browser)
                note(
                    "two tabs: the first", "now run in StackStorm as alice", try await browser.see("#outcome")
                )
                #expect(await house.heard()?.address.place == .direct("@ivan"))
                try await browser.show(second)
                try await Self.fill(browser, "bob")
                try await Self.agree(browser)
                note(
                    "two tabs: the second", "now run in StackStorm as bob", try await browser.see("#outcome"))
                #expect(await house.heard()?.address.place == .direct("@judy"))

                // The user received the link and the word of another user.
                try await browser.go(to: try await house.link("@mallory"))
                _ = try await browser.see("#who")
                try await Self.fill(browser)
                note("whose chat account it is", "@mallory on test", try await browser.see("#confirm-person"))
                try await browser.click("#decline")
                note("declined", "This login is cancelled", try await browser.see("#outcome"))
                note("who asked is told", "was cancelled on its page", await house.told())
                house.backend.type("!st2 echo x", as: "@mallory")
                note("and has no rights", "You are not logged in", await house.told())

                // Without the cookie, and without a link.
                try await browser.go(to: try await house.link("@kim"))
                _ = try await browser.see("#who")
                try await browser.forgetCookies()
                try await Self.fill(browser)
                note("the cookie is gone", "its cookie is gone", try await browser.see("#outcome"))
                try await browser.go(to: house.page)
                note("no link", "This page was opened without a link", try await browser.see("#outcome"))
                try await browser.capture("10-no-link", into: output)
            }
        }
        try Self.write(rows.value)
    }

    /// Writes the table of results next to the screenshots.
    private static func write(_ rows: [Row]) throws {
        let lines =
            ["| scenario | expected | seen | |", "|---|---|---|---|"]
            + rows.map {
                "| \($0.scenario) | \($0.expected) | \($0.seen) | \($0.seen.contains($0.expected) ? "ok" : "NO") |"
            }
        let table = lines.joined(separator: "\n") + "\n"
        try Data(table.utf8).write(to: LoginHouse.output.appendingPathComponent("table.md"))
        print(table + "Screenshots are in \(LoginHouse.output.path).")
    }
}
