import Foundation
import JobsModule
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The contract between Petrel and a command: what it receives, and what becomes of its output.
@Suite(.timeLimit(.minutes(20))) struct AnswerTests {
    @Test func `A script receives a JSON object about the call`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("call", "exec cat >\"$PWD/.seen\"")
            try await folder.run { house in
                house.backend.type("!call 'a b' c  \\\"d", thread: "t1")
                #expect(await house.backend.nextSettled() == "job 1")
                let seen = try Data(contentsOf: folder.url.appendingPathComponent(".seen"))
                #expect(
                    try JSONValue.parse(seen) == [
                        "argv": ["call", "a b", "c", "\"d"], "text": "call 'a b' c  \\\"d", "job": 1,
                        "user": ["id": "@alice", "name": "@alice"], "room": ["id": "#ops", "name": "#ops"],
                        "thread": "t1", "backend": "test",
                    ])
                house.backend.type("!call", in: nil)
                #expect(await house.backend.nextSettled() == "job 2")
                let direct = try JSONValue.parse(try Data(contentsOf: folder.url.appendingPathComponent(".seen")))
                #expect(direct["room"] == .null && direct["thread"] == .null)
            }
        }
    }

    @Test func `A command of the configuration has the contract if it says so`() async throws {
        let commands: JSONValue = [
            "plain": [
                "command": "sh", "args": ["-c", "cat"], "auth_strategy": "any", "no_handshake": true, "answer": "text",
                "stdin": "json",
            ],
            "json": [
                "command": "sh", "args": ["-c", #"echo '{"text": "hi", "response_type": "ephemeral"}'"#],
                "auth_strategy": "any", "no_handshake": true, "answer": "json",
            ],
        ]
        try await JobsHouse(["commands": commands]).run { house in
            #expect(await house.ask("!plain x").hasPrefix(#"{"argv":["plain","x"],"backend":"test","job":1"#))
            house.backend.type("!json")
            let reply = await house.backend.next()?.reply
            #expect(reply?.text == "hi" && reply?.isPrivate == true)
        }
    }

    @Test func `Nothing is silence, and an exit code is an error with the last lines`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("quiet", "echo aside >&2")
            try folder.sh("empty", "echo '[]'")
            try folder.sh("fail", "seq 1 30; echo broken >&2; exit 3")
            try await folder.run { house in
                for (name, job) in [("quiet", 1), ("empty", 2)] {
                    house.backend.type("!\(name)")
                    #expect(await house.backend.nextSettled() == "job \(job)")
                }
                house.backend.type("!fail")
                let reply = await house.backend.next()?.reply
                let text = reply?.text ?? ""
                #expect(
                    text.hasPrefix("fail failed: exit status 3\n```\n1") && text.contains("\n30\n")
                        && text.contains("broken\n"))
                #expect(reply?.kind == .error, "\(text)")
            }
        }
    }

    @Test func `A script that hangs is ended, and one that prints 50 MB is cut`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("hang", "echo begun; sleep 600 & wait")
            try folder.sh("flood", "yes 123456789 | head -n 5000000")
            try folder.sh("flood-json", "echo '{\"text\": \"'; yes 123456789 | head -n 5000000; echo '\"}'")
            try await folder.run(["timeout": 300]) { house in
                let text = await house.ask("!flood")
                #expect(text.hasPrefix("123456789\n") && text.utf8.count < 20_000, "\(text.utf8.count)")
                #expect(text.contains("!logs 1 shows all of it"), "\(text.suffix(200))")
                let json = await house.ask("!flood-json")
                #expect(json.hasPrefix("{\"text\": \""), "\(json.prefix(300)) \(json.suffix(300))")
                let record = await house.ask("!job 1")
                #expect(record.contains("Successful"), "\(record)")
            }
            // On a busy machine the shell may need longer than a second to print its line.
            var text = ""
            for (timeout, words) in [(1, "1 s"), (10, "10 s"), (100, "100 s")] where !text.contains("begun") {
                text = try await folder.run(["timeout": .integer(timeout)]) { await $0.ask("!hang") }
                #expect(text.hasPrefix("hang failed: timed out after \(words)\n"), "\(text)")
            }
            #expect(text.contains(" s\n```\nbegun\n```"), "\(text)")
        }
    }

    @Test(arguments: [
        "{", "{\"text\": \"a}", "[INFO] started", "{\"status\": \"ok\"}", "{\"text\": {}}", "[[]]",
        "{\"text\":\"a\"} b",
        "[1, 2]", "[\"a\"]", "{\"suggestions\":\"b\"}", "{\"attachments\":[1]}", "\"text\"", "null", "1", "text",
    ]) func `Output that is not a reply in JSON is said as text`(output: String) async throws {
        try await ScriptFolder.with { folder in
            try folder.write("say.py", "#!/usr/bin/env python3\nprint('''\(output)''')")
            try await folder.run { house in #expect(await house.ask("!say") == output) }
        }
    }

    @Test(arguments: [
        (#"{"text":"a","n":1e400}"#, "the number 1e400 is out of range (line 1, column 17)"),
        (
            #"{"text":"\\ud83d bad"}"#,
            #"\ud83d is half of a character, and the other half is missing (line 1, column 10)"#
        ),
        (
            #"{\n "text" "a"\n}"#,
            "it is not valid JSON: a colon is expected after the key (line 2, column 9)"
        ),
        (#"{"text":"caf\xe9"}"#, "it is not valid JSON: the byte E9 is not UTF-8 (line 1, column 13)"),
    ]) func `The log tells why output is not JSON, and where`(output: String, reason: String) async throws {
        try await ScriptFolder.with { folder in
            try folder.write("say.py", "#!/usr/bin/env python3\nimport sys\nsys.stdout.buffer.write(b'''\(output)''')")
            let lines = Locked<[String]>([])
            try await folder.run(lines: lines) { house in _ = await house.ask("!say") }
            #expect(lines.value.contains { $0.contains("is said as text: \(reason).") }, "\(lines.value)")
        }
    }

    @Test func `A script can say that its output is text`() async throws {
        let json = #"{"text": "a", "suggestions": ["say"]}"#
        try await ScriptFolder.with { folder in
            try folder.sh("json", "# petrel-answer: json\nprintf '%s' '\(json)'")
            try folder.sh("text", "# petrel: Say it.\n# petrel-answer: text\nprintf '%s' '\(json)'")
            try folder.sh("wrong", "# petrel-answer: txt\nprintf '%s' '\(json)'")
            try folder.sh(
                "asked",
                "# petrel-answer: text\n[ \"$1\" = --petrel-help ] && { echo '{\"summary\": \"Asked.\"}'; exit; }\n"
                    + "printf '%s' '\(json)'")
            try await folder.run { house in
                #expect(await house.ask("!json") == "a")
                #expect(await house.ask("!text") == json)
                #expect(await house.ask("!wrong") == json)
                #expect(await house.ask("!help text").contains("Say it."))
                #expect(await house.ask("!help asked", containing: "Asked.").contains("Asked."))
                #expect(await house.ask("!asked") == json)
            }
        }
    }

    @Test(arguments: [
        #""suggestions":["", "say"]"#, #""suggestions":"b""#, #""attachments":"bad""#, #""thread":0"#,
        #""mrkdwn":"yes""#,
        #""attachments":[{"fields":[{"title":{}}]}]"#,
    ]) func `A part that cannot be used is left out, and the reply stays private`(part: String) async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("say", #"echo '{"text":"SECRET","response_type":"ephemeral",\#(part)}'"#)
            let lines = Locked<[String]>([])
            try await folder.run(traits: .slack, lines: lines) { house in
                house.backend.type("!say", as: "@alice", in: "#ops")
                let reply = try #require(await house.backend.next()?.reply)
                #expect(reply.text == "SECRET" && reply.isPrivate && reply.buttons.count <= 1, "\(reply)")
            }
            #expect(lines.value.contains { $0.contains("and was left out") }, "\(lines.value)")
        }
    }

    @Test(arguments: [
        #"[{"text":"SECRET","response_type":"ephemeral"}, 5]"#, #"{"text":"SECRET","response_type":"ephemeral"} x"#,
        #"{"text":{"SECRET":1},"response_type":"ephemeral"}"#, #"{"text":"SECRET","response_type":"ephemral"}"#,
        #"{"text":"SECRET","response_type":5}"#,
    ]) func `An answer that may be meant for one person is not said to others`(output: String) async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("say", "echo '\(output)'")
            try await folder.run { house in
                house.backend.type("!say", as: "@alice", in: "#ops")
                let reply = try #require(await house.backend.next()?.reply)
                #expect(reply.text.contains("SECRET") && reply.isPrivate)
            }
        }
    }

    @Test func `A list is several replies, with threads, attachments and suggestions`() async throws {
        try await ScriptFolder.with { folder in
            let replies: JSONValue = [
                ["text": "one", "thread": true],
                [
                    "text": "two", "thread": "t9",
                    "attachments": [
                        [
                            "color": "ff0000", "title": "T", "title_link": "https://example.com/", "text": "<!channel>",
                            "fields": [["title": "K", "value": "V", "short": true]], "ts": 1,
                        ]
                    ],
                ],
                ["suggestions": ["!whoami", ["text": "Again", "command": "say now"], "secret", "nothing here"]],
            ]
            let json = String(decoding: try JSONValue.encode(replies), as: UTF8.self)
            try folder.sh("say", "cat <<'END'\n\(json)\nEND")
            let commands: JSONValue = ["commands": ["secret": ["command": "echo"]]]
            try await folder.run(jobs: commands.object ?? [:]) { house in
                house.backend.type("!say")
                let one = await house.backend.next()
                #expect(one?.reply.text == "one" && one?.address.thread == "1")
                let two = await house.backend.next()
                #expect(two?.address.thread == "t9")
                #expect(two?.reply.text == "two\nT: https://example.com/\n<!channel>\nK: V")
                // The reader may not run `secret`, and `nothing` does not exist.
                #expect(await house.next() == "Next: !whoami · !say now")
            }
            try await folder.run(jobs: commands.object ?? [:], traits: .slack) { house in
                house.backend.type("!say")
                _ = await house.backend.next()
                let two = await house.backend.next()?.reply
                let attachment = two?.extra["slack"]?["attachments"]?.array?.first
                #expect(two?.text == "two" && attachment?["color"] == "#ff0000" && attachment?["ts"] == 1)
                #expect(attachment?["text"] == "&lt;!channel&gt;" && attachment?["fields"]?.array?.count == 1)
                let buttons = await house.backend.next()?.reply.buttons
                #expect(buttons == [Button("!whoami", line: "whoami"), Button("Again: say now", line: "say now")])
            }
        }
    }
}
