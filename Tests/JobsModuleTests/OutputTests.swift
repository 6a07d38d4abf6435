import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// What people see of the output of jobs.
@Suite struct OutputTests {
    private static func settings(_ script: String, _ more: [String: JSONValue] = [:]) -> JSONValue {
        let command: [String: JSONValue] = [
            "command": "sh", "args": ["-c", .string(script)], "auth_strategy": "any", "no_handshake": true,
        ]
        let settings: [String: JSONValue] = ["commands": ["x": .object(command)], "messages": ["success": ["ok"]]]
        return .object(settings.merging(more) { $1 })
    }

    @Test func `Output is shown as it was printed, in a fence that it cannot close`() async throws {
        let house = try JobsHouse(Self.settings("printf '  *a* _b_\\n```\\n\\n<c> & `d`\\n'"))
        try await house.run { house in
            #expect(await house.ask("!x") == "@alice ok (job 1)\n````\n  *a* _b_\n```\n\n<c> & `d`\n````")
        }
    }

    @Test func `A command without output has no fence`() async throws {
        try await JobsHouse(Self.settings("true")).run { house in #expect(await house.ask("!x") == "@alice ok (job 1)")
        }
    }

    @Test func `Long output is cut at a line, with how much is missing and the command that shows it`() async throws {
        let traits = BackendTraits(maximumLength: 1_000)
        try await JobsHouse(Self.settings("seq 1000 1999"), traits: traits).run { house in
            let reply = await house.ask("!x")
            #expect(reply.hasPrefix("@alice ok (job 1)\n```\n1000\n1001\n"))
            #expect(reply.hasSuffix("\n1099\n```\n… 4.5 kB after this: !logs 1 shows the output."), "\(reply)")
            let part = await house.ask("!logs 1 -from 4990")
            #expect(part.contains("\n1998\n1999\n") && !part.contains("after this"))
        }
        try await JobsHouse(Self.settings("seq 1000 1999; exit 1"), traits: traits).run { house in
            let reply = await house.ask("!x")
            #expect(reply.contains("\n1998\n1999\n```\n… 4.5 kB before this: !logs 1"), "\(reply)")
        }
    }

    @Test func `tail and head cut long output at a line, and tell what is missing`() async throws {
        let traits = BackendTraits(maximumLength: 1_000)
        let script = "seq 10000 11999; head -c 2000 /dev/zero | tr '\\0' x; echo; seq 1 4"
        try await JobsHouse(Self.settings(script), traits: traits).run { house in
            _ = await house.ask("!x")
            let tail = await house.ask("!tail")
            #expect(tail.hasSuffix("\nxxx\n1\n2\n3\n4\n```\n… 13 kB before this: !logs 1 shows the output.") == false)
            #expect(tail.contains("```\n1\n2\n3\n4\n```\n… 14 kB before this: !logs 1 shows the output."), "\(tail)")
            #expect(await house.ask("!tail -limit 4").hasSuffix("```\n1\n2\n3\n4\n```"))
            let head = await house.ask("!head -limit 5000")
            #expect(head.contains("```\n10000\n") && head.contains("\n10082\n```\n… "), "\(head)")
            #expect(head.hasSuffix(" after this: !logs 1 shows the output."))
            #expect(await house.ask("!logs 1 -from 99999").contains("Job 1 has printed 14009 bytes."))
        }
    }

    @Test func `A template that does not show the output hides no answer of the built-in commands`() async throws {
        let settings = Self.settings("echo hi", ["templates": ["success": "{{ command }} is done."]])
        try await JobsHouse(settings).run { house in
            #expect(await house.ask("!x") == "x is done.")
            #expect(await house.ask("!logs 1") == "hi\n")
            #expect(await house.ask("!jobs").withoutAges.contains("1 - AGE - x by alice in #ops - Successful"))
            #expect(await house.ask("!unalias x").contains("not found"))
        }
    }

    @Test func `The confirmation of a job that waited tells so only while it waits`() async throws {
        let settings: JSONValue = [
            "pool": 1,
            "commands": [
                "x": ["command": "sh", "args": ["-c", "exec sleep 300"], "auth_strategy": "any"],
                "y": ["command": "true", "auth_strategy": "any", "no_handshake": true],
            ],
            "templates": ["handshake": "started {{ jobid }}", "success": "ok {{ jobid }}", "failure": "failed"],
        ]
        try await JobsHouse(settings, traits: BackendTraits(edits: true, forms: true)).run { house in
            for (line, text) in [
                ("!x", "started 1"), ("!x", "started 2\nJob 2 waits for a free place: it is number 1 in the queue."),
                ("!y", "Job 3 waits for a free place: it is number 2 in the queue."),
            ] { #expect(await house.ask(line) == text) }
            house.backend.type("!cancel 1")
            while true {
                let sent = try #require(await house.backend.next())
                guard sent.isReplacement, sent.reply.text == "started 2" else { continue }
                #expect(sent.reply.buttons.map(\.line) == ["cancel 2"])
                break
            }
            house.backend.type("!cancel 2")
            while true {
                let text = try #require(await house.backend.next()?.reply.text)
                #expect(!text.contains("waits"))
                if text.hasPrefix("Job 3: Successful after ") { break }
            }
        }
    }

    @Test func `A result has at most a hundred lines, and fewer where each is a message`() async throws {
        try await JobsHouse(Self.settings("yes | head -600")).run { house in
            let reply = await house.ask("!x")
            #expect(reply.split(separator: "\n").count { $0 == "y" } == 100, "\(reply)")
            #expect(reply.hasSuffix("\n… 1.0 kB after this: !logs 1 shows the output."))
            #expect(await house.ask("!tail -limit 200").split(separator: "\n").count { $0 == "y" } == 200)
            #expect(await house.ask("!logs 1").split(separator: "\n").count { $0 == "y" } == 600)
        }
        let traits = BackendTraits(maximumLines: 10)
        for (end, notice) in [("", "after"), ("; exit 1", "before")] {
            try await JobsHouse(Self.settings("yes | head -600\(end)"), traits: traits).run { house in
                let reply = await house.ask("!x")
                #expect(reply.split(separator: "\n").count { $0 == "y" } == 10, "\(reply)")
                #expect(reply.hasSuffix("\n… 1.2 kB \(notice) this: !logs 1 shows the output."), "\(reply)")
                #expect(await house.ask("!tail -limit 10").split(separator: "\n").count { $0 == "y" } == 10)
                for command in ["tail", "head", "jobs", "audit"] {
                    let refusal = await house.ask("!\(command) -limit 11", as: "@root")
                    #expect(refusal.contains("-limit must be a whole number from 1 to 10"), "\(command): \(refusal)")
                }
                let logs = await house.ask("!logs 1 -from 20")
                #expect(logs.split(separator: "\n").count { $0 == "y" } == 10 && logs.contains("!logs 1 -from 40"))
            }
        }
    }

    /// The section for a script whose output is the answer.
    private static func answering(_ answer: JSONValue, _ script: String) -> JSONValue {
        [
            "commands": [
                "x": [
                    "command": "sh", "args": ["-c", .string(script)], "auth_strategy": "any", "no_handshake": true,
                    "answer": answer,
                ]
            ]
        ]
    }

    @Test(arguments: [
        ("text", "yes | head -600", "\n… The output has 1.2 kB: !logs 1 shows all of it."),
        ("text", "yes | head -600; exit 1", "\nThe output has 1.2 kB: !logs 1 shows it."),
        (
            "json", #"printf '{"text": "%s"}' "$(yes 'y\n' | head -600 | tr -d '\n')""#,
            "\n… The answer has 601 lines: !logs 1 shows the whole output."
        ),
        (
            "json", #"printf '[{"text": "a"}, {"text": "```\\n%s```"}]' "$(yes 'y\n' | head -600 | tr -d '\n')""#,
            "\n… The answer has 602 lines: !logs 1 shows the whole output."
        ),
    ])
    func `An answer has few lines where each is a message`(kind: String, script: String, notice: String) async throws {
        let house = try JobsHouse(
            Self.answering(.string(kind), script), traits: BackendTraits(maximumLines: 10))
        try await house.run { house in
            var reply = await house.ask("!x")
            if reply == "a" { reply = await house.next() }
            #expect(reply.hasSuffix(notice), "\(reply)")
            let lines = reply.split(separator: "\n")
            #expect(lines.count { $0 == "y" } == 10, "\(reply)")
            #expect(lines.count { $0.hasPrefix("```") }.isMultiple(of: 2), "\(reply)")
        }
    }

    @Test(arguments: [#"\r"#, #"\f"#, #"\v"#, #"\302\205"#, #"\r\n"#])
    func `Whatever is shown as a line break counts as one`(end: String) async throws {
        // The first line ends with a line feed, so that it does not belong to those that are overwritten.
        let script = "printf 'a\\n'; for i in $(seq 60); do printf 'y\(end)'; done"
        try await JobsHouse(Self.settings(script), traits: BackendTraits(maximumLines: 10)).run { house in
            _ = await house.ask("!x")
            for line in ["!logs 1", "!logs 1 -from 20", "!tail -limit 10 1", "!head -limit 10 1"] {
                let count = ShownText.clean(await house.ask(line)).textLines.count { $0 == "a" || $0 == "y" }
                #expect((1...10).contains(count), "\(line): \(count)")
            }
        }
    }

    @Test func `An answer in text has at most a hundred lines`() async throws {
        try await JobsHouse(Self.answering("text", "yes | head -600")).run { house in
            #expect(await house.ask("!x").split(separator: "\n").count { $0 == "y" } == 100)
        }
    }

    @Test func `Of lines that were overwritten, the last state is shown`() async throws {
        let script =
            "i=0; while [ $i -lt 2000 ]; do printf '\\rprogress %5d of 2000' $i; i=$((i+1)); done; echo; echo end"
        for (end, text) in [("", "@alice ok (job 1)"), ("; exit 1", "exit status 1 (job 1, x)")] {
            try await JobsHouse(Self.settings(script + end)).run { house in
                #expect(await house.ask("!x").hasSuffix("\(text)\n```\nprogress  1999 of 2000\nend\n```"))
                #expect(await house.ask("!tail -limit 1").hasSuffix("```\nend\n```"))
                let tail = await house.ask("!tail")
                #expect(tail.contains("```\nprogress  1999 of 2000\nend\n```"), "\(tail)")
                #expect(await house.ask("!logs 1").contains("progress     1 of 2000\nprogress     2 of 2000\n"))
            }
        }
    }

    @Test func `What is before and after an overwritten line is shown with its last state`() async throws {
        // 46 kB of states, of which a reply would hold 8 kB.
        let script =
            "seq 1 3; i=0; while [ $i -lt 2000 ]; do printf '\\rprogress %5d of 2000' $i; i=$((i+1)); done; seq 4 6"
        let shown = "```\n1\n2\n3\nprogress  1999 of 20004\n5\n6\n```"
        for end in ["", "; exit 1"] {
            try await JobsHouse(Self.settings(script + end)).run { house in
                #expect(await house.ask("!x").hasSuffix(shown))
                #expect(await house.ask("!tail -limit 6").hasSuffix(shown))
                #expect(await house.ask("!head -limit 6").hasSuffix(shown))
                #expect(await house.ask("!tail -limit 3").hasSuffix("```\nprogress  1999 of 20004\n5\n6\n```"))
            }
        }
        // What follows the states has more bytes than a reply.
        let traits = BackendTraits(maximumLength: 1_000)
        try await JobsHouse(Self.settings(script + "; seq 100000 101000"), traits: traits).run { house in
            let reply = await house.ask("!x")
            #expect(reply.contains("```\n1\n2\n3\nprogress  1999 of 20004\n5\n6\n100000\n"), "\(reply)")
            #expect(reply.contains(" after this: !logs 1 shows the output."), "\(reply)")
            // The place is one in the output, not in the text.
            let rest = await house.ask("!logs 1 -from 46012")
            #expect(rest.contains("```\n100000\n100001\n"), "\(rest)")
        }
    }

    @Test func `The output of a script as an answer shows the last state of a line`() async throws {
        let script =
            "i=0; while [ $i -lt 2000 ]; do printf '\\rprogress %5d of 2000' $i; i=$((i+1)); done; echo; echo end"
        let command: [String: JSONValue] = [
            "command": "sh", "args": ["-c", .string(script)], "auth_strategy": "any", "no_handshake": true,
            "answer": "text",
        ]
        try await JobsHouse(["commands": ["x": .object(command)]]).run { house in
            #expect(await house.ask("!x") == "progress  1999 of 2000\nend")
        }
    }

    @Test func `A confirmation and its result name the job`() async throws {
        let settings: JSONValue = [
            "commands": [
                "x": ["command": "true", "auth_strategy": "any"], "y": ["command": "false", "auth_strategy": "any"],
            ]
        ]
        try await JobsHouse(settings).run { house in
            #expect(await house.ask("!x").hasSuffix(" (job 1)"))
            #expect(await house.next().hasSuffix(" (job 1)"))
            #expect(await house.ask("!y").hasSuffix(" (job 2)"))
            #expect(await house.next() == "@alice Uuuh!, no, it failed: exit status 1 (job 2, y)")
            #expect(await !house.ask("!jobs").contains("(job"))
        }
    }

    @Test func `On a backend with files, long output is whole`() async throws {
        let traits = BackendTraits(files: true, maximumLength: 1_000)
        try await JobsHouse(Self.settings("seq 1000 1100"), traits: traits).run { house in
            #expect(await house.ask("!x").hasSuffix("1100\n```"))
        }
    }

    @Test func `The confirmation is edited while the job runs, and its button is gone at the end`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let script = "echo one; until [ -e two ]; do sleep 0.1; done; echo two; until [ -e end ]; do sleep 0.1; done"
        let settings: JSONValue = [
            "commands": [
                "x": [
                    "command": "sh", "args": ["-c", .string(script)], "cwd": .string(folder.path),
                    "auth_strategy": "any",
                ]
            ],
            "templates": ["handshake": "started", "success": "ok"],
        ]
        try await JobsHouse(settings, traits: BackendTraits(edits: true, forms: true)).run { house in
            house.backend.type("!x")
            let first = try #require(await house.backend.next())
            #expect(first.reply.buttons.map(\.line) == ["cancel 1"])
            var replies: [RecordingBackend.Sent] = []
            while replies.count(where: { !$0.isReplacement }) < 1
                || replies.last(where: \.isReplacement)?.reply.buttons.isEmpty != true
            {
                let reply = try #require(await house.backend.next())
                replies.append(reply)
                // The job goes on when the output so far has been shown.
                for (text, file) in [("one\n```", "two"), ("one\ntwo\n```", "end")]
                where reply.reply.text.hasSuffix(text) {
                    try Data().write(to: folder.appendingPathComponent(file))
                }
            }
            let edits = replies.filter(\.isReplacement)
            #expect(edits.allSatisfy { $0.message == first.message })
            #expect(edits.contains { $0.reply.text == "started\n```\none\ntwo\n```" && $0.reply.buttons.count == 1 })
            #expect(edits.last?.reply.text.hasPrefix("started\nJob 1: Successful after ") == true)
            #expect(edits.count <= 6)
        }
    }

    @Test func `The beginning of an output that exceeds the limit is removed`() async throws {
        let more: [String: JSONValue] = ["output_mb": 1, "templates": ["success": "{{ size }}"]]
        try await JobsHouse(Self.settings("yes 1234567 | head -c 4000000", more)).run { house in
            // A reply that does not show the output does not tell what is missing of it.
            #expect(await house.ask("!x") == "4000000")
            for line in ["!logs 1", "!head 1", "!head -limit 10000 1"] {
                let text = await house.ask(line)
                #expect(text.hasPrefix("1234567\n") && text.contains("were removed."), "\(text.prefix(100))")
            }
        }
    }

    @Test(arguments: [("é", ""), ("€", "x"), ("😀", "xy"), ("e\u{301}", "x")])
    func `No character is cut in two`(_ character: String, _ before: String) async throws {
        let text = before + String(repeating: character, count: 3_000)
        for (end, settings) in [("", "{{ output }}"), ("; exit 1", "{{ output }}")] {
            let more: [String: JSONValue] = ["templates": ["success": .string(settings), "failure": .string(settings)]]
            let house = try JobsHouse(
                Self.settings("printf %s '\(text)'\(end)", more), traits: BackendTraits(maximumLength: 1_000))
            try await house.run { house in
                for line in ["!x", "!logs 1", "!logs 1 -from 500", "!logs 1 -from 1001", "!tail 1", "!head 1"] {
                    let text = await house.ask(line)
                    #expect(!text.unicodeScalars.contains("\u{FFFD}") && text.contains(character), "\(line): \(text)")
                }
            }
        }
    }

    @Test func `A private room is shown only to those in it, and to the owner of the job`() async throws {
        try await JobsHouse(Self.settings("true")).run { house in
            house.backend.type("!x", in: "#secret", isPrivate: true)
            #expect(await house.next() == "@alice ok (job 1)")
            #expect(await house.ask("!job 1").contains("* Where #secret"))
            let elsewhere = await house.ask("!auditjob 1", as: "@root")
            #expect(elsewhere.contains("* Where unknown-channel") && !elsewhere.contains("secret"))
            #expect(await house.ask("!audit -status successful", as: "@root").contains("in unknown-channel"))
            let audit = await house.ask("!audit", as: "@root")
            #expect(audit.contains("unknown-channel on ") && !audit.contains("secret"), "\(audit)")
            house.backend.type("!auditjob 1", as: "@root", in: "#secret", isPrivate: true)
            #expect(await house.next().contains("* Where #secret"))
        }
    }
}
