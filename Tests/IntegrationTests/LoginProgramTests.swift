import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Logins across restarts of the program, and with its key.
@Suite(.timeLimit(.minutes(30)), .serialized) struct LoginProgramTests {
    private struct Running {
        let petrel: Program
        let base: String
    }

    private static func configuration(stackStorm: Int, web: Int, in folder: URL) throws {
        let base = "http://127.0.0.1:\(stackStorm)"
        let html = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../html")
        let json: JSONValue = [
            "admins": ["@root"], "backends": ["text": ["format": "jsonl"]],
            "web": ["port": .integer(web), "html": .string(html.standardized.path)],
            "stackstorm": [
                "auth_url": .string("\(base)/auth/v1"), "api_url": .string("\(base)/api/v1"),
                "stream_url": .string("\(base)/stream/v1"),
                "api_auth": ["user": ["name": "petrel", "password": "demo"]],
                "rbac_auth": ["clientside": ["url": .string("http://127.0.0.1:\(web)/")]],
            ],
        ]
        try Data(try JSONValue.encode(json)).write(to: folder.appendingPathComponent("config.json"))
    }

    private static func start(_ folder: URL, port: Int) async throws -> Running {
        let petrel = try Program(["run"], in: folder)
        try #require(await petrel.error(with: "The web server listens on") != nil)
        return Running(petrel: petrel, base: "http://127.0.0.1:\(port)")
    }

    private static let numbers = Locked(0)

    private static func say(_ running: Running, _ text: String, as person: String = "@alice") async throws -> String {
        let number = numbers.withLock { number in
            number += 1
            return number
        }
        running.petrel.type(##"{"id":"\##(number)","from":"\##(person)","text":"\##(text)"}"##)
        return try await hear(running)
    }

    private static func hear(_ running: Running) async throws -> String {
        let line = try #require(await running.petrel.line())
        return try #require(try JSONValue.parse(line.utf8)["text"]?.string)
    }

    private static func post(
        _ running: Running, _ path: String, _ body: JSONValue, _ headers: [String: String] = [:]
    ) async throws -> (JSONValue, String) {
        var request = URLRequest(url: try #require(URL(string: running.base + path)))
        request.httpMethod = "POST"
        request.httpBody = Data(try JSONValue.encode(body))
        request.httpShouldHandleCookies = false
        request.setValue(running.base, forHTTPHeaderField: "Origin")
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await URLSession(configuration: .ephemeral).data(for: request)
        let cookie = (response as? HTTPURLResponse)?.value(forHTTPHeaderField: "Set-Cookie") ?? ""
        return (try JSONValue.parse(data), String(cookie.prefix { $0 != ";" }))
    }

    /// Sends the requests of the login page without a browser.
    private static func logIn(_ running: Running) async throws {
        let link = try await say(running, "!st2session_start tulip-garden").split(separator: "#")[1]
        let (opened, cookie) = try await post(running, "/login/open", ["link": .string(String(link))])
        let body: JSONValue = [
            "page": opened["page"] ?? .null, "word": "tulip-garden", "username": "alice", "password": "demo",
        ]
        let headers = ["Cookie": cookie, "X-Petrel-Token": opened["token"]?.string ?? ""]
        let (proven, _) = try await post(running, "/login/authenticate", body, headers)
        #expect(proven["outcome"] == "proven")
        let word: JSONValue = ["page": opened["page"] ?? .null, "account": "alice", "agrees": true]
        let (answer, _) = try await post(running, "/login/confirm", word, headers)
        #expect(answer["outcome"] == "accepted")
        #expect(try await hear(running).hasPrefix("You are logged in to StackStorm as alice"))
    }

    private static func stop(_ running: Running) async {
        running.petrel.signal(SIGTERM)
        #expect(await running.petrel.end().status == 0)
    }

    @Test func `a login survives a restart and a key rotation, and a lost key affects only the login`() async throws {
        let simulator = try Program(["simulate", "--port", "0"])
        let address = try #require(await simulator.line())
        let stackStorm = try #require(URL(string: address)?.port)
        try await withFolder { folder in
            let port = try freePort()
            try Self.configuration(stackStorm: stackStorm, web: port, in: folder)
            var running = try await Self.start(folder, port: port)
            #expect(try await Self.say(running, "!st2 echo x").hasPrefix("You are not logged in"))
            try await Self.logIn(running)
            await Self.stop(running)

            let rotated = try Program(["store", "rotate-key"], in: folder)
            #expect(await rotated.end().output == "1 stored login is encrypted with the new key.")
            running = try await Self.start(folder, port: port)
            let busy = try Program(["store", "rotate-key"], in: folder)
            #expect(await busy.error(with: "is in use by another Petrel process") != nil)
            #expect(try await Self.say(running, "!st2 echo x").hasPrefix("core.echo started"))
            _ = try await Self.hear(running)
            let audit = try await Self.say(running, "!audit --limit 1 --user @alice", as: "@root")
            #expect(audit.contains("allowed @alice · direct chat on text · st2 echo x · execution "))
            await Self.stop(running)

            let key = folder.appendingPathComponent("petrel.key")
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: key.path)
            let open = try Program(["run"], in: folder)
            #expect(await open.error(with: "other users can read \(key.path)") != nil)
            #expect(await open.end().status == 78)
            try FileManager.default.removeItem(at: key)
            let petrel = try Program(["run"], in: folder)
            #expect(
                await petrel.error(
                    with: "Stored logins that cannot be decrypted: 1, because the key of the store is missing")
                    != nil)
            try #require(await petrel.error(with: "The web server listens on") != nil)
            running = Running(petrel: petrel, base: "http://127.0.0.1:\(port)")
            #expect(try await Self.say(running, "!st2 echo x").hasPrefix("You are not logged in"))
            try await Self.logIn(running)
            await Self.stop(running)
        }
        simulator.signal(SIGTERM)
        _ = await simulator.end()
    }
}
