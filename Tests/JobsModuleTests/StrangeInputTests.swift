import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// Lines that nobody should type, and what comes of them.
@Suite struct StrangeInputTests {
    @Test func `Strange arguments of built-in commands are answered with the reason`() async throws {
        let lines: [(line: String, reply: String)] = [
            ("job", "No job ID was given"), ("job 0", "Invalid job ID 0"), ("job -1", "Invalid job ID -1"),
            ("job +1", "Invalid job ID +1"), ("job 1.0", "Invalid job ID 1.0"), ("job 1 2", "Only one job ID"),
            ("job 99999999999999999999", "Invalid job ID"), ("job ١", "Invalid job ID"), ("job '1", "Unclosed quote"),
            ("job \"1\"", "* ID 1"), ("logs 1 -from -5", "-from must be"), ("logs 1 -from 99999", "done"),
            ("tail -limit 0", "-limit must be"), ("tail -limit", "-limit requires a value"),
            ("tail -limit=2 1", "x"), ("tail 1 —limit 2", "x"), ("tail -n 5", "Unknown option -n"),
            ("jobs -status", "-status requires a value"), ("jobs -status Nope", "-status must be one of"),
            ("jobs extra", "Unexpected argument"), ("jobs -limit 1e3", "-limit must be"),
            ("last 1", "Unexpected argument"),
            ("cancel all", "Invalid job ID all"), ("cancel 1; rm -rf /", "Unknown option -rf"),
            ("alias x", "requires at least two"), ("alias a\u{202E}x jobs", "is not a name"),
            ("unalias x y", "requires only one"), ("unalias nothing", "was not found"),
        ]
        let house = try JobsHouse([
            "templates": ["success": "done\n{{ output }}"],
            "commands": ["x": ["command": "echo", "args": ["x"], "auth_strategy": "any", "no_handshake": true]],
        ])
        try await house.run { house in
            #expect(await house.ask("!x") == "done\nx\n")
            for (line, reply) in lines {
                let answer = await house.ask("!\(line)")
                #expect(answer.contains(reply), "\(line): \(answer)")
            }
        }
    }

    @Test func `Strange requests to the HTTP API get a status, and start nothing they should not`() async throws {
        let house = try JobsHouse([
            "templates": ["success": "done\n{{ output }}"],
            "commands": ["x": ["command": "echo", "auth_strategy": "any", "no_handshake": true]],
        ])
        try await house.run { house in
            _ = await house.ask("!whoami", as: "@pablo", in: "#general")
            let reply = await house.ask("!token-new @pablo #general x", as: "@root", in: nil)
            let secret = try #require(reply.words.dropFirst(2).first)
            let form = "application/x-www-form-urlencoded"
            let requests: [(headers: [String: String], query: String, body: [UInt8], status: Int)] = [
                ([:], "", [], 400), (["token": "   "], "", [], 400), (["token": secret + "x"], "", [], 401),
                (["token": "\u{0}"], "", [], 401), (["authorization": "Basic " + secret], "", [], 400),
                (["authorization": secret], "", [], 400), (["authorization": "bearer  " + secret], "", [], 202),
                (["token": secret, "content-type": form], "", Array("message".utf8), 400),
                (["token": secret, "content-type": form], "", Array("&&=&message=&".utf8), 202),
                (["token": secret, "content-type": form], "", Array("message=%".utf8), 400),
                (["token": secret, "content-type": form], "", [0xFF, 0xFE], 400),
                (["token": secret, "content-type": form], "", Array("message=\"".utf8), 400),
                (["token": secret, "content-type": form], "", Array("message=%00".utf8), 400),
                (
                    ["token": secret, "content-type": "application/json; charset=utf-8"], "",
                    Array(#"{"message":null}"#.utf8), 202
                ),
                (["token": secret, "content-type": "application/json"], "", Array(#"{"alerts":[{}]}"#.utf8), 202),
                (["token": secret, "content-type": "application/json"], "", Array(#"["message"]"#.utf8), 400),
                (["token": secret, "content-type": "multipart/form-data; boundary=\"\""], "", [], 400),
                (["token": secret, "content-type": "multipart/form-data; boundary=b"], "", Array("--b--".utf8), 202),
                (["token": secret], "message=a&message=b", [], 202), (["token": secret], "message=%2", [], 400),
            ]
            for (index, request) in requests.enumerated() {
                let response = await house.host.request(
                    .post, "/message",
                    WebRequest(
                        headers: request.headers, query: request.query, body: request.body, origin: "10.0.0.\(index)"))
                #expect(
                    response.status == request.status,
                    "\(index): \(request) \(String(decoding: response.body, as: UTF8.self))")
                if response.status == 202 { #expect(await house.next().hasPrefix("done\n")) }
            }
            #expect(
                await house.host.request(.post, "/message", WebRequest(body: Array(repeating: 0x61, count: 70_000)))
                    .status == 400)
            let other = await house.ask("!token-new @pablo #general x", as: "@root", in: nil).words
            let second = try #require(other.dropFirst(2).first)
            for path in [
                "/jobs/0", "/jobs/-1", "/jobs/x", "/jobs/1/log", "/jobs/", "/jobs/1%2F2", "/jobs/99999999999999999999",
            ] {
                #expect(await house.host.request(.get, path, WebRequest(headers: ["token": second])).status == 404)
            }
            let from = WebRequest(headers: ["token": secret], query: "from=-1")
            #expect([400, 429].contains(await house.host.request(.get, "/jobs/1/logs", from).status))
        }
    }
}
