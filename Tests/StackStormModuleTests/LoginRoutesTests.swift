import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import StackStormModule

/// Tests of the routes without a server.
@Suite(.timeLimit(.minutes(30))) struct LoginRoutesTests {
    private struct Desk {
        let logins: OneTimeLogins
        let routes: [String: WebRoute]
        let log: Locked<[String]>
        let checked = Locked(0)
        let events = Locked<[LoginEvent]>([])

        init(page: String = "https://petrel.example.com/") throws {
            logins = OneTimeLogins()
            let log = Locked<[String]>([])
            self.log = log
            let logger = Logger(label: "test") { _ in CollectingLogHandler(log) }
            let url = try #require(URL(string: page))
            routes = Dictionary(
                uniqueKeysWithValues: LoginRoutes(logins, pages: [url], command: "!log_in WORD", logger: logger).routes
                    .map { ($0.path, $0) })
        }

        static func login(_ text: String) -> ProvenLogin {
            ProvenLogin(account: "alice", begin: { _ in text }, decline: { _ in })
        }

        /// Opens a page whose credential is always accepted as alice's, and records the outcome.
        func openProven(_ told: Locked<[String]>) async throws -> (body: [String: JSONValue], headers: [String: String])
        {
            try await open(
                try prepare { _ in
                    .proven(
                        ProvenLogin(
                            account: "alice",
                            begin: { _ in
                                told.withLock { $0.append("begun") }
                                return "in"
                            }, decline: { _ in told.withLock { $0.append("declined") } }))
                })
        }

        func prepare(
            _ check: @escaping @Sendable (LoginProof) async -> LoginVerdict = { _ in .proven(Self.login("welcome")) }
        )
            throws -> String
        {
            try logins.prepare(
                LoginRequest(
                    key: "alice", person: "@alice on test", word: Secret("tulip"),
                    check: { [checked] proof in
                        checked.withLock { $0 += 1 }
                        return await check(proof)
                    }, happened: { [events] event, _ in events.withLock { $0.append(event) } })
            ).reveal()
        }

        func post(
            _ path: String, _ body: JSONValue, _ change: (inout WebRequest) -> Void = { _ in }
        ) async throws -> (status: Int, json: JSONValue, headers: [String: String]) {
            var request = WebRequest(
                headers: ["origin": "https://petrel.example.com", "content-type": "application/json"],
                body: try JSONValue.encode(body), origin: "192.0.2.\(Int.random(in: 1...250))")
            change(&request)
            let answer = try #require(await routes[path]?.handler(request))
            return (answer.status, try JSONValue.parse(answer.body), answer.headers)
        }

        /// Opens a link. Returns the body and the headers to log in on the page.
        func open(_ link: String) async throws -> (body: [String: JSONValue], headers: [String: String]) {
            let answer = try await post("/login/open", ["link": .string(link)])
            #expect(answer.status == 200)
            let cookie = try #require(answer.headers["set-cookie"]?.split(separator: ";").first.map(String.init))
            return (
                ["page": answer.json["page"] ?? .null, "word": "tulip", "username": "alice", "password": "hunter2"],
                ["cookie": cookie, "x-petrel-token": answer.json["token"]?.string ?? ""]
            )
        }

        func confirm(_ page: (body: [String: JSONValue], headers: [String: String]), agrees: Bool = true) async throws
            -> (status: Int, json: JSONValue, headers: [String: String])
        {
            let body: JSONValue = [
                "page": page.body["page"] ?? .null, "account": "alice", "agrees": .bool(agrees),
            ]
            return try await post("/login/confirm", body) { $0.headers.merge(page.headers) { _, new in new } }
        }

        func logIn(_ page: (body: [String: JSONValue], headers: [String: String]), word: String = "tulip") async throws
            -> (status: Int, json: JSONValue, headers: [String: String])
        {
            var body = page.body
            body["word"] = .string(word)
            return try await post("/login/authenticate", .object(body)) {
                $0.headers.merge(page.headers) { _, new in new }
            }
        }
    }

    @Test(arguments: [
        ("no cookie", 403), ("another token", 403), ("another account", 403), ("no answer", 400), ("no account", 400),
        ("before the proof", 409), ("wrong origin", 403),
    ]) func `an invalid confirmation is rejected and begins nothing`(what: String, status: Int) async throws {
        let desk = try Desk()
        let told = Locked<[String]>([])
        let page = try await desk.openProven(told)
        if what != "before the proof" { #expect(try await desk.logIn(page).json["outcome"] == "proven") }
        var body: [String: JSONValue] = ["page": page.body["page"] ?? .null, "account": "alice", "agrees": true]
        switch what {
        case "another account": body["account"] = "bob"
        case "no answer": body["agrees"] = "yes"
        case "no account": body["account"] = nil
        default: break
        }
        let answer = try await desk.post("/login/confirm", .object(body)) { request in
            request.headers.merge(page.headers) { _, new in new }
            switch what {
            case "no cookie": request.headers["cookie"] = nil
            case "another token": request.headers["x-petrel-token"] = "x"
            case "wrong origin": request.headers["origin"] = "https://evil.example.com"
            default: break
            }
        }
        #expect(answer.status == status && told.value.isEmpty, "\(answer.json)")
    }

    @Test func `a declined login does not begin and ends the link`() async throws {
        let desk = try Desk()
        let told = Locked<[String]>([])
        let page = try await desk.openProven(told)
        _ = try await desk.logIn(page)
        #expect(try await desk.confirm(page, agrees: false).json["outcome"] == "declined")
        #expect(try await desk.confirm(page).status == 410)
        #expect(told.value == ["declined"])
    }

    @Test func `a displayed name has no invisible or direction characters`() {
        #expect(LoginRoutes.shown("@ali\u{202E}ec\u{200B}\n") == "@ali\u{FFFD}ec\u{FFFD}\u{FFFD}")
    }

    @Test func `a login works from start to end`() async throws {
        let desk = try Desk()
        let proofs = Locked<[String]>([])
        let link = try desk.prepare { proof in
            if case .password(let name, let password) = proof {
                proofs.withLock { $0.append("\(name) \(password) \(password.reveal())") }
            }
            return .proven(Desk.login("You are logged in."))
        }
        let opened = try await desk.post("/login/open", ["link": .string(link)])
        #expect(opened.status == 200 && opened.json["person"] == "@alice on test")
        let cookie = try #require(opened.headers["set-cookie"])
        #expect(cookie.hasPrefix("__Host-petrel_login_"))
        for part in ["HttpOnly", "SameSite=Strict", "Secure", "Path=/", "Max-Age=5"] {
            #expect(cookie.contains(part), "\(cookie)")
        }
        #expect(!cookie.contains("Domain"))
        let again = try await desk.post("/login/open", ["link": .string(link)])
        #expect(again.status == 410 && again.json["outcome"] == "ended")
        #expect(again.headers["set-cookie"] == nil)
        #expect(again.json["message"]?.string?.contains("Write !log_in WORD to the bot") == true)
        _ = try await desk.post("/login/open", ["link": .string(link)])
        #expect(desk.events.value == [.opened, .openedAgain], "told once")
        let body: JSONValue = [
            "page": opened.json["page"] ?? .null, "word": " tulip ", "username": "alice", "password": "hunter2",
        ]
        let answer = try await desk.post("/login/authenticate", body) {
            $0.headers["cookie"] = String(cookie.prefix { $0 != ";" })
            $0.headers["x-petrel-token"] = opened.json["token"]?.string
        }
        #expect(answer.status == 200 && answer.json["outcome"] == "proven")
        #expect(answer.json["person"] == "@alice on test" && answer.json["account"] == "alice")
        let page = (
            body: ["page": opened.json["page"] ?? .null],
            headers: [
                "cookie": String(cookie.prefix { $0 != ";" }), "x-petrel-token": opened.json["token"]?.string ?? "",
            ]
        )
        let confirmed = try await desk.confirm(page)
        #expect(confirmed.json["outcome"] == "accepted" && confirmed.json["message"] == "You are logged in.")
        let cleared = try #require(confirmed.headers["set-cookie"])
        for part in ["Max-Age=0", "Path=/", "Secure"] { #expect(cleared.contains(part)) }
        #expect(try await desk.confirm(page).status == 410)
        #expect(proofs.value == ["alice ••• hunter2"])
        // A replayed request has no effect, and the credential is not checked.
        let replay = try await desk.post("/login/authenticate", body) {
            $0.headers["cookie"] = String(cookie.prefix { $0 != ";" })
            $0.headers["x-petrel-token"] = opened.json["token"]?.string
        }
        #expect(replay.status == 410 && desk.checked.value == 1)
        for secret in [
            link, "hunter2", "tulip", opened.json["token"]?.string ?? "-", String(cookie.dropFirst(38).prefix(20)),
        ] {
            #expect(!desk.log.value.contains { $0.contains(secret) })
        }
        #expect(desk.log.value.contains { $0.contains("A login was accepted from 192.0.2.") })
    }

    @Test(arguments: [
        ("wrong origin", 403), ("no origin", 403), ("null origin", 403), ("cross-site fetch", 403),
        ("form content type", 415), ("no content type", 415), ("empty body", 400), ("not JSON", 400), ("a list", 400),
        ("link missing", 400), ("link a number", 400), ("link too long", 400), ("link of nobody", 404),
    ]) func `an invalid request to open is rejected and does not use up the link`(what: String, status: Int)
        async throws
    {
        let desk = try Desk()
        let link = try desk.prepare()
        var body: JSONValue = ["link": .string(link)]
        switch what {
        case "link missing": body = [:]
        case "link a number": body = ["link": 5]
        case "link too long": body = ["link": .string(link + String(repeating: "x", count: 100))]
        case "link of nobody": body = ["link": "00000000-0000-4000-8000-000000000000"]
        default: break
        }
        let answer = try await desk.post("/login/open", body) { request in
            switch what {
            case "wrong origin": request.headers["origin"] = "https://evil.example.com"
            case "no origin": request.headers["origin"] = nil
            case "null origin": request.headers["origin"] = "null"
            case "cross-site fetch": request.headers["sec-fetch-site"] = "cross-site"
            case "form content type": request.headers["content-type"] = "application/x-www-form-urlencoded"
            case "no content type": request.headers["content-type"] = nil
            case "empty body": request.body = []
            case "not JSON": request.body = Array("link=\(link)".utf8)
            case "a list": request.body = Array("[\"\(link)\"]".utf8)
            default: break
            }
        }
        #expect(answer.status == status)
        #expect(answer.json["message"]?.string?.isEmpty == false)
        #expect(!desk.log.value.contains { $0.contains(link) })
        _ = try await desk.open(link)
    }

    @Test(arguments: [
        ("no cookie", 403), ("another cookie", 403), ("no token", 403), ("another token", 403), ("another page", 404),
        ("out of order", 404), ("wrong origin", 403), ("no word", 400), ("huge word", 400), ("no proof", 400),
        ("two proofs", 400), ("no password", 400), ("huge password", 400), ("not JSON", 400),
    ]) func `an invalid login request is rejected and does not count as an attempt`(what: String, status: Int)
        async throws
    {
        let desk = try Desk()
        let page = try await desk.open(try desk.prepare())
        var body = page.body
        switch what {
        case "another page", "out of order": body["page"] = "0123456789abcdef"
        case "no word": body["word"] = nil
        case "huge word": body["word"] = .string(String(repeating: "x", count: 300))
        case "no proof": (body["username"], body["password"]) = (nil, nil)
        case "two proofs": body["token"] = "t"
        case "no password": body["password"] = nil
        case "huge password": body["password"] = .string(String(repeating: "x", count: 2_000))
        default: break
        }
        let answer = try await desk.post("/login/authenticate", .object(body)) { request in
            request.headers.merge(page.headers) { _, new in new }
            switch what {
            case "no cookie": request.headers["cookie"] = nil
            case "another cookie": request.headers["cookie"] = (page.headers["cookie"] ?? "") + "x"
            case "no token": request.headers["x-petrel-token"] = nil
            case "another token": request.headers["x-petrel-token"] = "x"
            case "another page": request.headers["cookie"] = "__Host-petrel_login_0123456789abcdef=x"
            case "out of order": request.headers["cookie"] = "__Host-petrel_login_0123456789abcdef=x"
            case "wrong origin": request.headers["origin"] = "https://evil.example.com"
            case "not JSON": request.body = [0xFF, 0xFE]
            default: break
            }
        }
        #expect(answer.status == status, "\(answer.json)")
        #expect(desk.checked.value == 0)
        let right = try await desk.logIn(page)
        #expect(right.status == 200)
    }

    @Test func `the size of bodies is limited`() throws {
        let desk = try Desk()
        #expect(desk.routes.values.allSatisfy { $0.bodyLimit == 8_192 })
    }

    @Test func `three failed attempts end the link and are reported in chat once`() async throws {
        let desk = try Desk()
        let page = try await desk.open(try desk.prepare())
        for left in [2, 1] {
            let answer = try await desk.logIn(page, word: "rose")
            #expect(answer.status == 403 && answer.json["outcome"] == "refused")
            #expect(answer.json["tries_left"] == .integer(left) && answer.json["field"] == "word")
        }
        #expect(try await desk.logIn(page, word: "rose").json["outcome"] == "ended")
        for _ in 0..<3 { #expect(try await desk.logIn(page).status == 410) }
        #expect(desk.events.value == [.opened, .wrongWord, .wrongWord, .wrongWord, .withdrawn])
        #expect(desk.checked.value == 0)
    }

    @Test func `a thousand concurrent guesses count as three attempts`() async throws {
        let desk = try Desk()
        let page = try await desk.open(try desk.prepare { _ in .refused("no") })
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<1_000 {
                group.addTask { try await desk.logIn(page, word: number % 2 == 0 ? "tulip" : "guess\(number)").status }
            }
            return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        }
        #expect(desk.checked.value <= 3)
        #expect(desk.events.value.count { $0 == .withdrawn } == 1)
        #expect(Set(statuses.keys).isSubset(of: [403, 409, 410, 429]))
        #expect(statuses[403, default: 0] == 3)
    }

    @Test func `the rate of requests of an address is limited`() async throws {
        let desk = try Desk()
        let link = try desk.prepare()
        var statuses: [Int] = []
        for _ in 0..<70 {
            let answer = try await desk.post("/login/open", ["link": "nobody"]) { $0.origin = "192.0.2.7" }
            statuses.append(answer.status)
            if answer.status == 429 { #expect(Int(answer.headers["retry-after"] ?? "") ?? 0 >= 1) }
        }
        #expect(statuses.prefix(60).allSatisfy { $0 == 404 } && statuses.contains(429))
        #expect(try await desk.post("/login/open", ["link": .string(link)]) { $0.origin = "192.0.2.8" }.status == 200)
    }

    @Test func `an attempt does not count if StackStorm is down`() async throws {
        let desk = try Desk()
        let isDown = Locked(true)
        let page = try await desk.open(
            try desk.prepare { _ in isDown.value ? .undecided("down") : .proven(Desk.login("ok")) })
        for _ in 0..<5 {
            let answer = try await desk.logIn(page)
            #expect(answer.status == 503 && answer.json["tries_left"] == 3)
        }
        isDown.withLock { $0 = false }
        #expect(try await desk.logIn(page).status == 200)
    }

    @Test(arguments: [
        ("https://a.example.com/", "https://a.example.com"), ("https://A.example.com:443/x/", "https://a.example.com"),
        ("https://a.example.com:8443/", "https://a.example.com:8443"), ("http://localhost:80/", "http://localhost"),
        ("http://127.0.0.1:3141/", "http://127.0.0.1:3141"), ("http://[::1]:3141/", "http://[::1]:3141"),
    ]) func `origins have the format of browsers`(page: String, origin: String) throws {
        #expect(LoginRoutes.origin(of: try #require(URL(string: page))) == origin)
    }

    @Test func `the cookie is not Secure without TLS`() async throws {
        let desk = try Desk(page: "http://127.0.0.1:3141/")
        let answer = try await desk.post("/login/open", ["link": .string(try desk.prepare())]) {
            $0.headers["origin"] = "http://127.0.0.1:3141"
        }
        #expect(answer.headers["set-cookie"]?.contains("Secure") == false)
        #expect(answer.headers["set-cookie"]?.contains("__Host-") == false)
    }
}
