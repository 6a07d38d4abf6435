import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@Suite struct TokenTests {
    private func house(_ commands: JSONValue? = nil, rules: JSONValue = []) throws -> JobsHouse {
        let commands: JSONValue = commands ?? ["echo": ["command": "echo", "auth_strategy": "any"]]
        return try JobsHouse(
            [
                "commands": commands,
                "templates": [
                    "handshake": "accepted", "success": "{{ userlink }} done\n{{ output }}",
                    "unauthorized": "{{ command }} is not allowed: {{ error }}",
                ],
            ], rules: rules)
    }

    /// Creates a token in a direct chat of the administrator.
    private func token(_ house: JobsHouse, _ line: String, prefix: String = "") async throws -> (
        secret: String, id: String
    ) {
        // A person has to be known.
        _ = await house.ask("!whoami", as: "@pablo", in: "#general")
        let reply = await house.ask("!\(prefix)token-new @pablo #general \(line)", as: "@root", in: nil)
        let words = reply.words
        let secret = try #require(words.dropFirst(2).first)
        let index = try #require(words.firstIndex(of: "ID"))
        return (secret, String(words[index + 2].dropLast()))
    }

    private func post(
        _ house: JobsHouse, _ token: String?, body: String = "", type: String = "application/x-www-form-urlencoded",
        query: String = "", bearer: Bool = false
    ) async -> (status: Int, text: String) {
        var headers = ["content-type": type]
        if let token { headers[bearer ? "authorization" : "token"] = bearer ? "Bearer \(token)" : token }
        let response = await house.host.request(
            .post, "/message", WebRequest(headers: headers, query: query, body: Array(body.utf8), origin: "127.0.0.1"))
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    @Test func `A token runs its command as its person, and the reply goes to its room`() async throws {
        try await house().run { house in
            let (secret, id) = try await token(house, "echo \"one  two\"")
            #expect(secret.utf8.count == 43)
            let (status, text) = await post(house, secret, body: "message=arg1+arg2")
            #expect((status, text) == (202, #"{"job":1}"#))
            let sent = try #require(await house.backend.next())
            #expect(sent.address.place == .room("#general"))
            #expect(await house.next() == "@pablo done\none  two arg1 arg2\n")
            #expect(
                house.host.audit.all.contains {
                    $0.reason.contains("with the token \(id)") && $0.executions == ["job 1 (token \(id))"]
                })
            let job = await house.host.request(.get, "/jobs/1", WebRequest(headers: ["token": secret]))
            let object = try JSONValue.parse(job.body)
            #expect(object["status"] == "Successful" && object["command"] == "echo")
            let logs = await house.host.request(
                .get, "/jobs/1/logs", WebRequest(headers: ["token": secret], query: "from=4"))
            #expect(String(decoding: logs.body, as: UTF8.self) == " two arg1 arg2\n")
            #expect(logs.headers["petrel-log-next"] == "19")
            for (place, status) in [(19, 200), (20, 416)] {
                let request = WebRequest(headers: ["token": secret], query: "from=\(place)")
                #expect(await house.host.request(.get, "/jobs/1/logs", request).status == status)
            }
        }
    }

    @Test func `A private answer to a call over HTTP goes to the direct chat of the person`() async throws {
        let commands: JSONValue = [
            "hush": [
                "command": "echo", "args": [#"[{"text": "a", "response_type": "ephemeral"}, {"text": "b"}]"#],
                "auth_strategy": "any", "no_handshake": true, "answer": "json",
            ]
        ]
        try await house(commands).run { house in
            let (secret, _) = try await token(house, "hush")
            #expect(await post(house, secret).status == 202)
            let sent = [await house.backend.next(), await house.backend.next()].compactMap(\.self)
            #expect(sent.map(\.reply.text).sorted() == ["a", "b"])
            #expect(sent.first { $0.reply.text == "a" }?.address.place == .direct("@pablo"))
            #expect(sent.first { $0.reply.text == "b" }?.address.place == .room("#general"))
        }
    }

    @Test func `A token finds commands whose names have several words, as chat does`() async throws {
        let commands: JSONValue = [
            "show_disk": ["command": "echo", "args": ["disk"], "auth_strategy": "any", "no_handshake": true],
            "show": ["command": "echo", "args": ["show"], "auth_strategy": "any", "no_handshake": true],
        ]
        try await house(commands).run { house in
            _ = await house.ask("!alias usage show disk all of", as: "@pablo", in: "#general")
            for (line, output) in [
                ("show disk web", "disk web"), ("show_disk web", "disk web"), ("show web", "show web"),
                ("!SHOW  Disk web", "disk web"), ("usage web", "disk all of web"),
            ] {
                let (secret, _) = try await token(house, line)
                #expect(await post(house, secret).status == 202, "\(line)")
                #expect(await house.next() == "@pablo done\n\(output)\n", "\(line)")
            }
            let warning = "the line cannot be split into arguments. Unclosed quote"
            for line in ["show disk it's", "show_disk it's", "usage it's"] {
                let reply = await house.ask("!token-new @pablo #general \(line)", as: "@root", in: nil)
                #expect(reply.contains(warning), "\(reply)")
            }
            #expect(await house.ask("!alias broken show disk it's", as: "@pablo").contains(warning))
            #expect(await !house.ask("!alias fine show disk its", as: "@pablo").contains("Warning"))
        }
    }

    @Test func `Tokens are listed without their secrets, and revoked`() async throws {
        try await house().run { house in
            let (secret, id) = try await token(house, "!echo a")
            let list = await house.ask("!tokens -user pablo -channel general -command ec", as: "@root", in: nil)
            #expect(list.contains("- \(id) @pablo at #general echo a") && !list.contains(secret))
            #expect(await house.ask("!tokens -user omame", as: "@root", in: nil).contains("No tokens"))
            #expect(await house.ask("!tokens", as: "@root", in: "#ops").contains("only in a direct chat"))
            #expect(await house.ask("!token-revoke \(id)", as: "@root", in: nil).contains("has been revoked"))
            #expect(await post(house, secret).status == 401)
        }
    }

    @Test func `A request without a token is 400, and one with a wrong token 401`() async throws {
        try await house().run { house in
            #expect(await post(house, nil) == (400, "no token\n"))
            #expect(await post(house, "") == (400, "no token\n"))
            #expect(await post(house, "wrong") == (401, "no token found\n"))
            #expect(await house.host.request(.get, "/jobs/1", WebRequest(headers: ["token": "x"])).status == 401)
        }
    }

    @Test func `Rights are evaluated at the call`() async throws {
        let rules: JSONValue = [["command": "echo*", "denyusers": ["@pablo"]]]
        try await house(rules: rules).run { house in
            let (secret, _) = try await token(house, "echo a")
            let (status, text) = await post(house, secret)
            #expect(status == 403 && text.contains("access_controls[0]"))
            #expect(await house.next().hasPrefix("echo is not allowed: access_controls[0]"))
        }
    }

    @Test func `The command that is evaluated is the one that runs`() async throws {
        let house = try JobsHouse([
            "prefix": "mb",
            "commands": ["mb": ["command": "echo", "auth_strategy": "none"], "x": ["command": "echo"]],
        ])
        try await house.run { house in
            let (secret, _) = try await token(house, "mb", prefix: "mb ")
            #expect(await post(house, secret).status == 403)
            _ = await house.next()
            // The built-in command, which everyone may use, starts no job.
            #expect(await post(house, secret, body: "message=jobs").status == 404)
            _ = await house.next()
            #expect(await house.ask("!mb auditjob 1", as: "@root").contains("There is no job 1"))
        }
    }

    @Test func `A call has the bounds of a line, and is read as one`() async throws {
        try await house().run { house in
            let (secret, _) = try await token(house, "echo")
            let long = await post(house, secret, body: "message=" + String(repeating: "x", count: 20_000))
            #expect(long.status == 400 && long.text.contains("This line is too long"))
            let pairs = Array(repeating: "a=b", count: 300).joined(separator: "+")
            #expect(await post(house, secret, body: "message=\(pairs)").text.contains("name=value pairs"))
            #expect(await post(house, secret, body: "message=a+%E2%80%8B").status == 202)
            _ = await house.next()
            #expect(await house.next() == "@pablo done\na\n")
        }
    }

    @Test func `A private room is shown only to the administrator who created the token`() async throws {
        try await house().run { house in
            house.backend.type("!whoami", as: "@pablo", in: "#secret", isPrivate: true)
            _ = await house.next()
            let reply = await house.ask("!token-new @pablo #secret echo", as: "@root", in: nil)
            let secret = try #require(reply.words.dropFirst(2).first)
            #expect(await house.ask("!tokens", as: "@root", in: nil).contains(" @pablo at #secret echo"))
            #expect(await post(house, secret).status == 202)
            _ = await house.next()
            #expect(await house.next().contains("@pablo done"))
            for line in ["!auditjob 1", "!audit", "!audit -status successful"] {
                let text = await house.ask(line, as: "@root", in: nil)
                #expect(
                    text.contains("unknown-channel") && !text.contains("#secret on") && !text.contains("in #secret"))
            }
        }
    }

    @Test func `A message comes as a form, as a multipart form, in the query or as JSON`() async throws {
        try await house().run { house in
            let (secret, _) = try await token(house, "echo")
            let multipart =
                "--x\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nno\r\n--x\r\n"
                + "Content-Disposition: form-data; name=\"message\"\r\n\r\na+b\r\n--x--\r\n"
            let requests: [(body: String, type: String, query: String, output: String)] = [
                ("message=a%20b%26c", "application/x-www-form-urlencoded", "", "a b&c"),
                (multipart, "multipart/form-data; boundary=x", "", "a+b"),
                ("", "text/plain", "message=q", "q"),
                (#"{"message":"“j k”  l"}"#, "application/json", "", "j k l"),
                ("", "application/json", "", ""),
            ]
            for request in requests {
                let (status, _) = await post(
                    house, secret, body: request.body, type: request.type, query: request.query, bearer: true)
                #expect(status == 202, "\(request)")
                _ = await house.next()
                #expect(await house.next() == "@pablo done\n\(request.output)\n")
            }
        }
    }

    @Test(arguments: [
        ("message=%zz", "application/x-www-form-urlencoded"), ("message=%ff", "application/x-www-form-urlencoded"),
        ("{", "application/json"), ("[]", "application/json"), (#"{"message":1}"#, "application/json"),
        ("web1", "text/plain"), ("message=x", "application/octet-stream"),
        ("web1", "application/x-www-form-urlencoded"),
        ("x", "multipart/form-data"), ("x", "multipart/form-data; boundary=b"),
        (#"{"message":"it's"}"#, "application/json"),
        (#"{"message":"a\u0000b"}"#, "application/json"),
    ])
    func `A body that cannot be read is 400`(body: String, type: String) async throws {
        try await house().run { house in
            let (secret, _) = try await token(house, "echo")
            #expect(await post(house, secret, body: body, type: type).status == 400)
        }
    }

    @Test func `A token has a rate limit`() async throws {
        try await house(["echo": ["command": "echo", "auth_strategy": "none"]]).run { house in
            let (secret, _) = try await token(house, "echo")
            var statuses: [Int] = []
            // One more is permitted each second: a slow machine needs many.
            for _ in 0..<10_000 where !statuses.contains(429) { statuses.append(await post(house, secret).status) }
            #expect(statuses.first == 403 && statuses.last == 429)
        }
    }

    @Test func `Reading jobs does not use up the calls that start them`() async throws {
        try await house().run { house in
            let (secret, _) = try await token(house, "echo")
            #expect(await post(house, secret).status == 202)
            for _ in 0..<30 {
                let request = WebRequest(headers: ["token": secret], origin: "127.0.0.1")
                #expect(await house.host.request(.get, "/jobs/1", request).status == 200)
            }
            #expect(await post(house, secret).status == 202)
        }
    }

    @Test func `In stealth, a rejected call over HTTP says nothing`() async throws {
        let settings: JSONValue = [
            "stealth": true,
            "commands": ["echo": ["command": "echo", "auth_strategy": "any", "no_handshake": true]],
        ]
        try await JobsHouse(settings, groups: ["known": ["@alice"]]).run { house in
            house.backend.type("!whoami", as: "@pablo", in: "#general")
            _ = await house.backend.nextCompleted()
            let reply = await house.ask("!token-new @pablo #general echo", as: "@root", in: nil)
            let secret = try #require(reply.words.dropFirst(2).first)
            #expect(await post(house, secret).status == 403)
            // The next reply is that to the administrator.
            #expect(await house.ask("!tokens", as: "@root", in: nil).contains("@pablo at #general echo"))
        }
    }

    @Test func `A token is refused if its command starts no job, and if its person is ambiguous`() async throws {
        try await house().run { house in
            _ = await house.ask("!whoami", as: "@pablo", in: "#general")
            func new(_ rest: String) async -> String {
                await house.ask("!token-new \(rest)", as: "@root", in: nil)
            }
            #expect(await new("@pablo #general jobs").contains("“jobs” starts no job"))
            #expect(await new("@pablo echo hi").contains("“echo” is a command. Write the room before it"))
            #expect(await new("@pablo #never echo hi").contains("#never has not been seen on test yet"))
            #expect(await !new("@pablo #general echo hi").contains("Warning: #general"))
            #expect(await new("@nobody #general echo hi").contains("@nobody has not been seen"))
        }
    }

    @Test func `Tokens and aliases survive a restart`() async throws {
        let store = try TestStore()
        let settings: JSONValue = [
            "commands": ["echo": ["command": "echo", "auth_strategy": "any", "no_handshake": true]]
        ]
        let secret = try await JobsHouse(settings, store: store).run { house in
            _ = await house.ask("!alias e echo hi", as: "@pablo", in: "#general")
            let token = try await token(house, "e")
            // The alias stands for its line when the token is made, and never again.
            #expect(await house.ask("!tokens", as: "@root", in: nil).contains("at #general echo hi"))
            _ = await house.ask("!alias e echo other", as: "@pablo", in: "#general")
            _ = await house.ask("!alias echo e", as: "@pablo", in: "#general")
            return token.secret
        }
        try await JobsHouse(settings, store: store).run { house in
            #expect(await post(house, secret, body: "message=x").status == 202)
            #expect(await house.next().contains("hi x"))
        }
    }
}
