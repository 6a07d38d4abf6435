import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelTesting
import PetrelWeb
import ServiceLifecycle
import StackStormClient
import StackStormModule
import StackStormSimulator
import Testing

@testable import petrel

/// The whole of Petrel behind nginx, a simulated StackStorm, and a real browser.
@Suite(.timeLimit(.minutes(5)), .serialized) struct LoginPageTests {
    private struct House: Sendable {
        let folder: URL
        let backend: RecordingBackend
        let stackStorm: SimulatedStackStorm
        let web: HTTPClient
        let page: String
        let petrelPort: Int
        let stackStormPort: Int
        /// Added to the time by which links expire.
        let later: Locked<Duration>
        let log: Locked<[String]>
        let secrets: Locked<Set<String>>

        /// Asks for a login in chat; returns the link.
        func link(_ person: String = "@alice", word: String = "tulip") async throws -> String {
            secrets.withLock { $0.formUnion([word]) }
            backend.type("!st2session_start \(word)", as: person, in: nil)
            let reply = try #require(await backend.next()?.reply.text)
            let link = try #require(reply.firstMatch(of: /https:\S+/)).output
            secrets.withLock { _ = $0.insert(String(link.split(separator: "#")[1])) }
            return String(link)
        }

        func told() async -> String { await backend.next()?.reply.text ?? "" }
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Where the screenshots and the table are to be looked at after the test.
    private static let output = root.appendingPathComponent(".build/login-page")

    private static func withHouse(_ body: @Sendable @escaping (House) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("petrel-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let stackStorm = SimulatedStackStorm()
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let simulator = Simulator(stackStorm, logger: .silent) { found.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await simulator.run() }
            defer { group.cancelAll() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await withPetrel(stackStorm, port, folder, body)
        }
    }

    private static func withPetrel(
        _ stackStorm: SimulatedStackStorm, _ stackStormPort: Int, _ folder: URL,
        _ body: @Sendable @escaping (House) async throws -> Void
    ) async throws {
        let (https, http) = (try freePort(), try freePort())
        let page = "https://localhost:\(https)/"
        let log = Locked<[String]>([])
        let control = LineLogHandler.Control(level: .trace)
        control.redirect { line in log.withLock { $0.append(line) } }
        let later = Locked(Duration.zero)
        let backend = RecordingBackend()
        let configuration = try configuration(stackStormPort, page: page, backend)
        let keys = KeyRing(.usual(folder.appendingPathComponent("petrel.key").path))
        let store = try Store(path: folder.appendingPathComponent("petrel.db").path, keys: keys)
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let app = try PetrelApp.build(
            configuration, store: store, log: control, logins: OneTimeLogins(now: { .now + later.value }),
            listening: { found.yield($0) })
        let running = Task { try await app.run() }
        var iterator = ports.makeAsyncIterator()
        let petrelPort = try #require(await iterator.next())
        let nginx = try Program(
            [folder.path, "\(https)", "\(http)", "\(petrelPort)"],
            of: root.appendingPathComponent("Scripts/nginx-for-tests").path)
        try #require(await nginx.error(with: "test is successful") != nil)
        try #require(await nginx.error(with: "start worker process ") != nil)
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile("\(folder.path)/certificate.pem"))]
        var settings = HTTPClient.Configuration(tlsConfiguration: tls)
        settings.redirectConfiguration = .disallow
        let web = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        let house = House(
            folder: folder, backend: backend, stackStorm: stackStorm, web: web, page: page, petrelPort: petrelPort,
            stackStormPort: stackStormPort, later: later, log: log, secrets: Locked([]))
        let result: Result<Void, any Error>
        do {
            try await body(house)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        nginx.signal(SIGTERM)
        _ = await nginx.end()
        try await web.shutdown()
        await app.group.triggerGracefulShutdown()
        try await running.value
        try store.close()
        try result.get()
        try expectNoSecrets(house)
    }

    private static func configuration(_ port: Int, page: String, _ backend: RecordingBackend) throws -> Configuration {
        let base = "http://127.0.0.1:\(port)"
        let client = StackStormSettings(
            auth: try #require(URL(string: "\(base)/auth/v1")), api: try #require(URL(string: "\(base)/api/v1")),
            stream: try #require(URL(string: "\(base)/stream/v1")),
            login: .password(name: "petrel", password: Secret("demo")))
        var settings = StackStormModuleSettings(client: client)
        settings.access = .clientside(try #require(URL(string: page)))
        var core = CoreSettings()
        core.access.admins = ["@root"]
        core.web = CoreSettings.Web(host: "127.0.0.1", port: 0, trustedProxies: ["127.0.0.1"])
        let kind = BackendKind { _, _, _ in { _ in backend } }
        var configuration = Configuration(
            core: core, backends: [ConfiguredBackend(name: "test", kind: kind) { _ in backend }],
            stackStorms: [settings], warnings: [])
        configuration.htmlFolder = root.appendingPathComponent("html").path
        return configuration
    }

    /// Logs, store and audit hold none of the secrets that were used.
    private static func expectNoSecrets(_ house: House) throws {
        var secrets = house.secrets.value
        secrets.formUnion(["key-of-alice", "wrong-password"])
        for secret in secrets {
            #expect(!house.log.value.contains { $0.contains(secret) }, "the log holds “\(secret)”")
            for file in try FileManager.default.contentsOfDirectory(at: house.folder, includingPropertiesForKeys: nil)
            where !file.hasDirectoryPath {
                let data = try Data(contentsOf: file)
                #expect(data.range(of: Data(secret.utf8)) == nil, "\(file.lastPathComponent) holds “\(secret)”")
            }
        }
    }

    private static func fill(
        _ browser: Browser, word: String = "tulip", _ user: String = "alice", _ password: String = "demo"
    ) async throws {
        try await browser.type(word, into: "#word")
        try await browser.type(user, into: "#username")
        try await browser.type(password, into: "#password")
        try await browser.click("#submit")
    }

    /// What a scenario should show, and what was seen.
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
        try? FileManager.default.removeItem(at: Self.output)
        try FileManager.default.createDirectory(at: Self.output, withIntermediateDirectories: true)
        let output = Self.output
        try await Self.withHouse { house in
            try await Browser.run(in: house.folder) { browser in
                // By password; the link is gone from address bar and history.
                var link = try await house.link()
                try await browser.go(to: link)
                note("the link is opened", "For @alice on test", try await browser.see("#who"))
                try await browser.capture("1-form", into: output)
                #expect(try await browser.run("return location.href").string == house.page)
                #expect(try await browser.run("return document.cookie").string == "", "the cookie is HttpOnly")
                #expect(try await browser.namelessControls().isEmpty)
                try await browser.click("#submit")
                note(
                    "nothing is filled in", "The word you chose in chat: this is empty.",
                    try await browser.see("#error"))
                try await Self.fill(browser)
                note("password", "You are logged in to StackStorm as alice", try await browser.see("#outcome"))
                try await browser.capture("2-accepted", into: output)
                #expect(await house.told().hasPrefix("You are logged in to StackStorm as alice, for 1 h"))
                house.backend.type("!st2 echo hello", as: "@alice")
                #expect(await house.told().hasPrefix("core.echo started"))
                note("then the alias runs in chat", "stdout : hello", await house.told())
                #expect(await house.stackStorm.asker(of: "POST /api/v1/aliasexecution") == "alice")

                // By token, for somebody whose rights differ.
                let client = try StackStormClient(
                    try Self.configuration(house.stackStormPort, page: house.page, house.backend).stackStorms[0].client,
                    logger: .silent)
                let token = try await client.prove(.password(name: "bob", password: Secret("demo"))).credential.value
                    .reveal()
                house.secrets.withLock { _ = $0.insert(token) }
                try await browser.go(to: try await house.link("@bob"))
                _ = try await browser.see("#who")
                try await browser.click("input[value=token]")
                try await browser.capture("3-form-token", into: output)
                try await browser.type("tulip", into: "#word")
                try await browser.type(token, into: "#token")
                try await browser.click("#submit")
                note("token", "You are logged in to StackStorm as bob", try await browser.see("#outcome"))
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
                try await browser.type("tulip", into: "#word")
                try await browser.type("key-of-alice", into: "#api_key")
                try await browser.click("#submit")
                note("API key", "You are logged in to StackStorm as alice", try await browser.see("#outcome"))
                _ = await house.told()

                // Wrong, three times.
                link = try await house.link("@dave")
                try await browser.go(to: link)
                _ = try await browser.see("#who")
                try await Self.fill(browser, word: "rose")
                note(
                    "wrong word", "That is not the word that you chose in chat. 2 tries are left.",
                    try await browser.see("#error"))
                try await browser.capture("5-wrong-word", into: output)
                for left in ["One try is left.", "this link"] {
                    try await browser.type("rose", into: "#word")
                    try await browser.click("#submit")
                    if left.hasPrefix("One") { #expect(try await browser.see("#error").hasSuffix(left)) }
                }
                note("wrong word three times", "this link is worth nothing any more", try await browser.see("#outcome"))
                try await browser.capture("6-ended", into: output)
                note("it is told in chat", "withdrawn after too many wrong tries", await house.told())

                // A wrong password costs a try, no more.
                try await browser.go(to: try await house.link("@dan"))
                _ = try await browser.see("#who")
                try await Self.fill(browser, "alice", "wrong-password")
                note(
                    "wrong password", "StackStorm does not accept this user name and password. 2 tries are left.",
                    try await browser.see("#error"))
                try await browser.type("demo", into: "#password")
                try await browser.click("#submit")
                note(
                    "then the right one", "You are logged in to StackStorm as alice", try await browser.see("#outcome"))
                _ = await house.told()

                // Opened twice: the second sees so, the first goes on, and the login stands.
                link = try await house.link("@erin")
                let first = try await browser.tab()
                try await browser.go(to: link)
                _ = try await browser.see("#who")
                let second = try await browser.newTab()
                try await browser.go(to: link)
                note("the link opened twice", "This link was opened before", try await browser.see("#outcome"))
                try await browser.capture("7-opened-twice", into: output)
                try await browser.show(first)
                try await Self.fill(browser)
                note(
                    "the first page goes on", "You are logged in to StackStorm as alice",
                    try await browser.see("#outcome"))
                _ = await house.told()
                try await browser.show(second)
                try await browser.go(to: link)
                note("a used link", "This login is complete", try await browser.see("#outcome"))
                house.backend.type("!st2 echo still", as: "@erin")
                #expect(await house.told().hasPrefix("core.echo started"))
                note("the login of the used link stands", "stdout : still", await house.told())

                // A preview of the link: only a GET, and the fragment never arrives.
                link = try await house.link("@frank")
                let preview = try await house.web.execute(HTTPClientRequest(url: link), timeout: .seconds(10))
                #expect(preview.status == .ok)
                try await browser.go(to: link)
                note("after a link preview (GET)", "For @frank on test", try await browser.see("#who"))

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

                // StackStorm down: nothing is used up.
                try await browser.go(to: try await house.link("@heidi"))
                _ = try await browser.see("#who")
                await house.stackStorm.setFault(.status(503), for: .tokens)
                try await Self.fill(browser)
                note("StackStorm down", "StackStorm cannot be reached at the moment", try await browser.see("#error"))
                try await browser.capture("9-stackstorm-down", into: output)
                await house.stackStorm.setFault(nil, for: .tokens)
                try await browser.click("#submit")
                note(
                    "StackStorm up again", "You are logged in to StackStorm as alice", try await browser.see("#outcome")
                )
                _ = await house.told()

                // Two tabs with a link each.
                let (one, two) = (try await house.link("@ivan"), try await house.link("@judy"))
                try await browser.show(first)
                try await browser.go(to: one)
                _ = try await browser.see("#who")
                try await browser.show(second)
                try await browser.go(to: two)
                _ = try await browser.see("#who")
                try await browser.show(first)
                try await Self.fill(browser)
                note(
                    "two tabs: the first", "You are logged in to StackStorm as alice", try await browser.see("#outcome")
                )
                #expect(await house.backend.next()?.address.place == .direct("@ivan"))
                try await browser.show(second)
                try await Self.fill(browser, "bob")
                note(
                    "two tabs: the second", "You are logged in to StackStorm as bob", try await browser.see("#outcome"))
                #expect(await house.backend.next()?.address.place == .direct("@judy"))

                // Without the cookie, and without a link.
                try await browser.go(to: try await house.link("@kim"))
                _ = try await browser.see("#who")
                _ = try await browser.run("return fetch('login/open', {method: 'POST', body: 'x'}).then(() => 1)")
                try await browser.go(to: house.page)
                note("no link", "This page was opened without a link", try await browser.see("#outcome"))
                try await browser.capture("10-no-link", into: output)
            }
        }
        try Self.write(rows.value)
    }

    /// The table, for people, beside the screenshots.
    private static func write(_ rows: [Row]) throws {
        let lines =
            ["| scenario | expected | seen | |", "|---|---|---|---|"]
            + rows.map {
                "| \($0.scenario) | \($0.expected) | \($0.seen) | \($0.seen.contains($0.expected) ? "ok" : "NO") |"
            }
        let table = lines.joined(separator: "\n") + "\n"
        try Data(table.utf8).write(to: output.appendingPathComponent("table.md"))
        print(table + "Screenshots are in \(output.path).")
    }

    @Test func `nginx hides what is not for people, speaks modern TLS only, and passes on who asks`() async throws {
        try await Self.withHouse { house in
            func get(_ path: String) async throws -> HTTPClientResponse {
                try await house.web.execute(HTTPClientRequest(url: house.page + path), timeout: .seconds(10))
            }
            for path in ["", "index.html", "login.css", "login.js"] {
                let answer = try await get(path)
                #expect(answer.status == .ok)
                for (name, value) in [
                    ("content-security-policy", "frame-ancestors 'none'"), ("x-frame-options", "DENY"),
                    ("referrer-policy", "no-referrer"), ("strict-transport-security", "max-age"),
                    ("cache-control", "no-store"), ("x-content-type-options", "nosniff"),
                ] {
                    #expect(
                        answer.headers[name].count == 1 && answer.headers.first(name: name)?.contains(value) == true,
                        "\(path) \(name)")
                }
                #expect(answer.headers.first(name: "server") == "nginx")
                // Served by Petrel itself, it is the same.
                let own = try await house.web.execute(
                    HTTPClientRequest(url: "http://127.0.0.1:\(house.petrelPort)/\(path)"), timeout: .seconds(10))
                #expect(own.status == .ok)
                #expect(
                    own.headers.first(name: "content-security-policy")
                        == answer.headers.first(name: "content-security-policy"))
                #expect(try await own.body.collect(upTo: 1 << 20) == answer.body.collect(upTo: 1 << 20))
            }
            for path in ["health", "metrics", "chatops/message", "login"] {
                #expect(try await get(path).status != .ok, "\(path) is not for people")
            }
            var post = HTTPClientRequest(url: house.page)
            post.method = .POST
            #expect(try await house.web.execute(post, timeout: .seconds(10)).status == .forbidden)

            func open(_ body: [UInt8], _ change: (inout HTTPClientRequest) -> Void = { _ in }) async throws
                -> HTTPClientResponse
            {
                var request = HTTPClientRequest(url: house.page + "login/open")
                request.method = .POST
                request.headers.add(name: "origin", value: String(house.page.dropLast()))
                request.headers.add(name: "content-type", value: "application/json")
                request.headers.add(name: "x-forwarded-for", value: "203.0.113.66")
                request.body = .bytes(ByteBuffer(bytes: body))
                change(&request)
                return try await house.web.execute(request, timeout: .seconds(10))
            }
            #expect(try await open(Array(repeating: 32, count: 20_000)).status == .payloadTooLarge)
            #expect(try await open([]).status == .badRequest)
            let link = try await house.link()
            let body = try JSONValue.encode(["link": link.split(separator: "#")[1].description])
            #expect(
                try await open(body) { $0.headers.replaceOrAdd(name: "origin", value: "https://evil.example.com") }
                    .status == .forbidden)
            let opened = try await open(body)
            #expect(opened.status == .ok)
            #expect(opened.headers.first(name: "set-cookie")?.contains("; Secure") == true)
            #expect(
                house.log.value.contains { $0.contains("was opened from 127.0.0.1") },
                "the invented address is not believed")

            for (version, works) in [(TLSVersion.tlsv11, false), (.tlsv12, true), (.tlsv13, true)] {
                var tls = TLSConfiguration.makeClientConfiguration()
                tls.certificateVerification = .none
                (tls.minimumTLSVersion, tls.maximumTLSVersion) = (version, version)
                let client = HTTPClient(
                    eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
                let status = try? await client.execute(HTTPClientRequest(url: house.page), timeout: .seconds(10)).status
                #expect((status == .ok) == works, "\(version)")
                try await client.shutdown()
            }
        }
    }
}
