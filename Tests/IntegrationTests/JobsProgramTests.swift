import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Jobs in the program, over the text backend.
@Suite(.timeLimit(.minutes(30)), .serialized) struct JobsProgramTests {
    private static func configuration(_ jobs: JSONValue, hasWeb: Bool = false) throws -> Data {
        var object: [String: JSONValue] = [
            "admins": ["@root"], "backends": ["text": ["format": "jsonl", "linger": 30]], "jobs": jobs,
            // Tests ask again until something has changed; beyond the limit there would be no answer.
            "bot": ["limits": ["lines_per_minute": 1_000_000]],
        ]
        if hasWeb { object["web"] = ["port": 0] }
        return Data(try JSONValue.encode(object))
    }

    private static let numbers = Locked(0)

    private static let templates: JSONValue = [
        "handshake": "accepted {{ jobid }}", "success": "{{ userlink }} done\n{{ output }}",
        "failure": "{{ userlink }} job {{ jobid }} failed: {{ error }}\n{{ output }}",
    ]

    private static func run(_ jobs: JSONValue, in folder: URL, hasWeb: Bool = false) throws -> Program {
        try configuration(jobs, hasWeb: hasWeb).write(to: folder.appendingPathComponent("config.json"))
        return try Program(
            ["run", "--config", "config.json"], in: folder, environment: ["JOBS_SECRET": "never shown"])
    }

    private static func line(_ text: String, from: String = "@pablo", room: String? = nil) throws -> String {
        let number = numbers.withLock { number in
            number += 1
            return number
        }
        var object: [String: JSONValue] = ["id": .string("\(number)"), "from": .string(from), "text": .string(text)]
        if let room { object["room"] = .string(room) }
        return String(decoding: try JSONValue.encode(JSONValue.object(object)), as: UTF8.self)
    }

    /// Sends a line and returns the text of the next reply.
    private static func ask(
        _ petrel: Program, _ text: String, from: String = "@pablo", room: String? = nil
    ) async throws -> String {
        petrel.type(try line(text, from: from, room: room))
        return try await next(petrel)
    }

    private static func next(_ petrel: Program) async throws -> String {
        let line = try #require(await petrel.line())
        return try #require(try JSONValue.parse(line.utf8)["text"]?.string)
    }

    @Test func `the sample conversations of Meeseeks-Box hold`() async throws {
        let commands: JSONValue = [
            "docker-ps": ["command": "echo", "args": ["CONTAINER ID"], "auth_strategy": "any"],
            "df": ["command": "sh", "args": ["-c", "echo full >&2; exit 1"], "auth_strategy": "any"],
            "wait": ["command": "sh", "args": ["-c", "echo waiting; exec sleep 300"], "auth_strategy": "any"],
        ]
        let messages: JSONValue = [
            "handshake": ["Ooh, ok!"], "success": ["All done!"], "failure": ["Uuuh!, no, it failed"],
        ]
        try await withFolder { folder in
            // As in the document, where no reply names its job.
            let output = "{% if output %}\n```\n{{ output }}```{% endif %}"
            let templates: JSONValue = [
                "handshake": "{{ handshake|any_value }}",
                "success": .string("{{ userlink }} {{ success|any_value }}\(output)"),
                "failure": .string("{{ userlink }} {{ failure|any_value }}: {{ error }}\(output)"),
            ]
            let petrel = try Self.run(
                ["commands": commands, "messages": messages, "templates": templates], in: folder, hasWeb: true)
            let address = try await Self.address(of: petrel)
            // Starting a command, and its result.
            #expect(try await Self.ask(petrel, "!df") == "Ooh, ok!")
            #expect(try await Self.next(petrel) == "@pablo Uuuh!, no, it failed: exit status 1\n```\nfull\n```")
            #expect(try await Self.ask(petrel, "!docker-ps") == "Ooh, ok!")
            #expect(try await Self.next(petrel) == "@pablo All done!\n```\nCONTAINER ID\n```")
            // jobs, job, last, logs, tail
            #expect(
                try await Self.ask(petrel, "!jobs").words.joined(separator: " ").contains(
                    "docker-ps by pablo in DM - Successful 1 - "))
            let details = try await Self.ask(petrel, "!job 2")
            #expect(details.contains("* ID 2\n* Status Successful\n* Command docker-ps\n* Where IM\n* When "))
            #expect(try await Self.ask(petrel, "!last").contains("* ID 2\n"))
            #expect(try await Self.ask(petrel, "!logs 1").contains("full\n"))
            #expect(try await Self.ask(petrel, "!tail").contains("CONTAINER ID\n"))
            // alias, unalias, audit
            #expect(try await Self.ask(petrel, "!wait", from: "@omame") == "Ooh, ok!")
            while try await !Self.ask(petrel, "!tail", from: "@omame").contains("waiting") {}
            let created = try await Self.ask(petrel, "!alias ps audit -status running", from: "@root")
            #expect(created.contains("alias created successfully"))
            #expect(try await Self.ask(petrel, "!ps", from: "@root").hasSuffix("- wait by omame in DM - Running"))
            _ = try await Self.ask(petrel, "!alias pablo-failed audit -status failed -user pablo", from: "@root")
            #expect(try await Self.ask(petrel, "!pablo-failed", from: "@root").hasSuffix("df by pablo in DM - Failed"))
            let rest = try await Self.ask(petrel, "!unalias ps", from: "@root")
            #expect(rest.contains("- pablo-failed - audit -status failed -user pablo"))
            #expect(try await Self.ask(petrel, "!auditjob 3", from: "@root").contains("* Status Running"))
            // cancel
            petrel.type(try Self.line("!cancel 3", from: "@omame"))
            let replies = [try await Self.next(petrel), try await Self.next(petrel)]
            #expect(replies.contains { $0.contains("Issued command cancellation to job 3") })
            #expect(replies.contains { $0.contains("Uuuh!, no, it failed: cancelled") && $0.contains("waiting") })
            // token, curl
            let token = try await Self.ask(petrel, "!token-new @pablo #general docker-ps", from: "@root").words
            let secret = try #require(token.dropFirst(2).first)
            #expect(try await Self.ask(petrel, "!tokens", from: "@root").contains("@pablo at #general docker-ps"))
            let response = try await Self.curl(
                ["-F", "message=arg1", "-H", "TOKEN: \(secret)", "\(address)/message"])
            #expect(response == #"{"job":4}"#)
            #expect(try await Self.next(petrel) == "Ooh, ok!")
            let answer = try #require(await petrel.line())
            #expect(answer.contains("CONTAINER ID arg1") && answer.contains(##""room":"#general""##))
            petrel.closeInput()
            #expect(await petrel.end().status == 0)
        }
    }

    /// Returns the address of the web server.
    private static func address(of petrel: Program) async throws -> String {
        let line = try #require(await petrel.error(with: "The web server listens on"))
        let port = try #require(line.words.last.map { $0.filter(\.isNumber) })
        return "http://127.0.0.1:\(port)"
    }

    /// Creates a token for a command as @pablo in #general, and returns its secret.
    private static func token(_ petrel: Program, _ line: String) async throws -> String {
        _ = try await ask(petrel, "!uptime", room: "#general")
        let words = try await ask(petrel, "!token-new @pablo #general \(line)", from: "@root").words
        return try #require(words.dropFirst(2).first)
    }

    private static func curl(_ arguments: [String]) async throws -> String {
        let program = try Program(["-s", "-X", "POST"] + arguments + ["-w", "\n"], of: "/usr/bin/curl")
        return await program.end().output
    }

    @Test func `the death of the program loses no job, and ends the programs of its jobs`() async throws {
        let jobs: JSONValue = [
            "templates": Self.templates,
            "commands": [
                "slow": [
                    "command": "sh", "args": ["-c", "echo \"pid $$ $JOBS_SECRET.\"; exec sleep 600"],
                    "auth_strategy": "any", "timeout": 0,
                ],
                // A secret of the configuration, which other programs do not inherit.
                "other": ["command": "true", "env": ["SECRET": ["env": "JOBS_SECRET"]]],
            ],
        ]
        try await withFolder { folder in
            let first = try Self.run(jobs, in: folder)
            for _ in 1...20 { first.type(try Self.line("!slow")) }
            for _ in 1...20 { #expect(try await Self.next(first).hasPrefix("accepted")) }
            var processes: [Int32] = []
            for id in 1...20 {
                var text = ""
                while !text.contains("pid ") { text = try await Self.ask(first, "!tail \(id)") }
                processes.append(try #require(Int32(text.words[3])))
                #expect(text.words.last == ".", "\(text)")
            }
            first.signal(SIGKILL)
            _ = await first.end()
            let second = try Self.run(jobs, in: folder)
            var told: Set<Int> = []
            for _ in 1...20 {
                let words = try await Self.next(second).words
                told.insert(try #require(Int(words[2])))
                #expect(
                    words[3...].starts(with: ["failed:", "Petrel", "ended", "while", "it", "was", "running", "pid"]))
            }
            #expect(told == Set(1...20))
            let list = try await Self.ask(second, "!jobs -limit 50 -status killed")
            #expect(list.split(separator: "\n").count == 21)
            for process in processes { while kill(process, 0) == 0 { await Task.yield() } }
            second.closeInput()
            #expect(await second.end().status == 0)
        }
    }

    @Test func `a stop gives jobs their time, and tells the results at the next start`() async throws {
        let jobs: JSONValue = [
            "templates": Self.templates, "stop_timeout": 7,
            "commands": [
                "polite": [
                    "command": "sh", "auth_strategy": "any",
                    "args": ["-c", "trap 'echo cleaned up; exit 7' TERM; echo up; while :; do sleep 0.1; done"],
                ]
            ],
        ]
        // Seven seconds, the maximum, are too short for a machine that stands still at this moment.
        var result = ""
        for _ in 0..<5 where !result.contains("cleaned up") {
            result = try await withFolder { folder in
                let first = try Self.run(jobs, in: folder)
                #expect(try await Self.ask(first, "!polite") == "accepted 1")
                while try await !Self.ask(first, "!tail").contains("up") {}
                first.signal(SIGTERM)
                let end = await first.end()
                #expect(end.status == 0)
                let second = try Self.run(jobs, in: folder)
                let result = end.output.isEmpty ? try await Self.next(second) : end.output
                #expect(result.contains("failed: Petrel stopped"), "\(result)")
                #expect(try await Self.ask(second, "!job 1").contains("* Status Killed"))
                second.signal(SIGTERM)
                #expect(await second.end().status == 0)
                return result
            }
        }
        #expect(result.contains("cleaned up"), "\(result)")
    }

    @Test func `reload replaces the commands, and a bad file changes nothing`() async throws {
        func jobs(_ name: String) -> JSONValue {
            ["templates": Self.templates, "commands": .object([name: ["command": "echo", "auth_strategy": "any"]])]
        }
        try await withFolder { folder in
            let petrel = try Self.run(jobs("one"), in: folder)
            #expect(try await Self.ask(petrel, "!one") == "accepted 1")
            _ = try await Self.next(petrel)
            let file = folder.appendingPathComponent("config.json")
            try Self.configuration(["commands": ["two": ["auth_strategy": "any"]]]).write(to: file)
            let refusal = try await Self.ask(petrel, "!reload", from: "@root")
            #expect(refusal.contains("not reloaded") && refusal.contains("jobs.commands.two.command: is required"))
            #expect(try await Self.ask(petrel, "!one") == "accepted 2")
            _ = try await Self.next(petrel)
            try Self.configuration(jobs("two")).write(to: file)
            #expect(try await Self.ask(petrel, "!reload", from: "@pablo").contains("administrators"))
            #expect(try await Self.ask(petrel, "!reload", from: "@root").contains("was reloaded"))
            #expect(try await Self.ask(petrel, "!one").contains("Unknown command"))
            #expect(try await Self.ask(petrel, "!two") == "accepted 3")
            _ = try await Self.next(petrel)
            petrel.closeInput()
            #expect(await petrel.end().status == 0)
        }
    }

    @Test func `explain and check know the commands of jobs`() async throws {
        try await withFolder { folder in
            try Self.configuration([
                "commands": ["deploy": ["command": "echo", "auth_strategy": "none"]]
            ]).write(to: folder.appendingPathComponent("config.json"))
            let explanation = try await Program(["explain", "--user", "@bob", "deploy x"], in: folder).end()
            #expect(explanation.output.contains("jobs.commands.deploy.auth_strategy is none"), "\(explanation.output)")
            try Self.configuration(["commands": ["status": ["command": "echo"]]])
                .write(to: folder.appendingPathComponent("config.json"))
            let check = try await Program(["check"], in: folder).end()
            #expect(check.status == 1 && check.output.contains("second command \"status\""), "\(check.output)")
            try Self.configuration([
                "prefix": "help", "commands": ["!x": ["command": "echo"], "y": ["command": "echo"]],
            ]).write(to: folder.appendingPathComponent("config.json"))
            let hidden = try await Program(["check"], in: folder).end()
            #expect(hidden.output.contains("the command \"!x\" is typed as \"!!x\""), "\(hidden.output)")
            #expect(
                hidden.output.contains("in place of the command \"help\" of the module builtins"), "\(hidden.output)")
            #expect(hidden.output.ranges(of: "in place of").count == 1 && !hidden.output.contains("\"y\""))
            try Self.configuration(["commands": ["“x": ["command": "echo"]]])
                .write(to: folder.appendingPathComponent("config.json"))
            let typed = try await Program(["check"], in: folder).end()
            #expect(typed.status == 1 && typed.output.contains("which nobody can type"), "\(typed.output)")
        }
    }

    @Test func `the metrics of jobs are valid, and the status has a line for the pool`() async throws {
        let jobs: JSONValue = [
            "templates": Self.templates,
            "commands": ["x": ["command": "printf", "args": ["a\\nb\\n"], "auth_strategy": "any"]],
        ]
        try await withFolder { folder in
            let petrel = try Self.run(jobs, in: folder, hasWeb: true)
            let address = try await Self.address(of: petrel)
            _ = try await Self.ask(petrel, "!x")
            _ = try await Self.next(petrel)
            #expect(try await Self.ask(petrel, "!status").contains("ok   jobs: 0 of 20 running, 0 waiting"))
            let metrics = try await ProgramTests.get("\(address)/metrics")
            let text = String(decoding: metrics, as: UTF8.self)
            for line in [
                "petrel_jobs_received_total 1", "petrel_jobs_accepted_total 1", "petrel_jobs_rejected_total 0",
                "petrel_jobs_unknown_total 0", "petrel_jobs_running 0.0", "petrel_jobs_queued 0.0",
                "petrel_jobs_log_lines_total 2", "petrel_jobs_ended_total{status=\"successful\"} 1",
                "petrel_job_duration_seconds_count{command=\"x\",status=\"successful\"} 1",
            ] { #expect(text.contains("\n\(line)\n"), "\(line)") }
            try await ProgramTests.checkWithPromtool(metrics)
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
        }
    }

    /// `make test` installs Debian's Alertmanager; without it, this test fails with a message.
    @Test func `an alert of Alertmanager runs a command in a room`() async throws {
        let jobs: JSONValue = [
            "templates": Self.templates,
            "commands": ["restart": ["command": "echo", "args": ["restarted"], "auth_strategy": "any"]],
        ]
        try await withFolder { folder in
            let petrel = try Self.run(jobs, in: folder, hasWeb: true)
            let address = try await Self.address(of: petrel)
            let secret = try await Self.token(petrel, "restart web1")
            let configuration = """
                route: {receiver: petrel, group_wait: 0s, group_by: [alertname]}
                receivers:
                  - name: petrel
                    webhook_configs:
                      - url: \(address)/message
                        http_config: {authorization: {credentials: \(secret)}}
                """
            let file = folder.appendingPathComponent("alertmanager.yml")
            try Data(configuration.utf8).write(to: file)
            let port = try freePort()
            let manager = try Program(
                [
                    "--config.file=\(file.path)", "--web.listen-address=127.0.0.1:\(port)",
                    "--cluster.listen-address=", "--storage.path=\(folder.path)",
                ], of: "/usr/bin/prometheus-alertmanager", in: folder)
            _ = try #require(await manager.error(with: "Listening on"))
            let alert = #"[{"labels": {"alertname": "Down"}}]"#
            _ = try await Self.curl([
                "-H", "Content-Type: application/json", "-d", alert, "http://127.0.0.1:\(port)/api/v2/alerts",
            ])
            #expect(try await Self.next(petrel) == "accepted 1")
            let result = try #require(await petrel.line())
            #expect(result.contains("restarted web1") && result.contains(##""room":"#general""##))
            manager.signal(SIGKILL)
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
        }
    }

    /// The number of descriptors of a process; Linux only.
    private static func descriptors(of process: Int32) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
    }

    /// The number of children of a process that nobody has waited for.
    private static func zombies(of process: Int32) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.count { id in
            // A process may end meanwhile.
            let stat = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
            let fields = stat?.components(separatedBy: ") ").last?.words ?? []
            return fields.count > 1 && fields[0] == "Z" && fields[1] == "\(process)"
        }
    }

    /// A line of the status of a process in kilobytes, such as `VmRSS`; Linux only.
    private static func memory(_ name: String, of process: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(name + ":") })
        return try #require(String(line).words.dropFirst().first.flatMap { Int($0) })
    }

    @Test func `200 jobs at once are recorded whole, and leave nothing behind`() async throws {
        let jobs: JSONValue = [
            "templates": ["success": "done{{ size }}"], "reply_styles": ["handshake": "disabled"],
            "commands": [
                // Until the file exists, so that jobs wait for others.
                "count": [
                    "command": "sh", "args": ["-c", "while [ ! -e go ]; do sleep 0.5; done; exec seq 1 1500"],
                    "auth_strategy": "any",
                ]
            ],
        ]
        let output = (1...1_500).map { "\($0)\n" }.joined()
        try await withFolder { folder in
            let petrel = try Self.run(jobs, in: folder)
            _ = try await Self.ask(petrel, "!uptime")
            let before = try Self.descriptors(of: petrel.id)
            // The memory that the first jobs need is used again by the next ones.
            var memory: [Int] = []
            let go = folder.appendingPathComponent("go")
            for round in 0..<3 {
                for number in 1...200 { petrel.type(try Self.line("!count", from: "@p\(number)", room: "#r\(number)")) }
                var (results, waiting) = (0, 0)
                while results < 200 {
                    let text = try await Self.next(petrel)
                    if text.hasPrefix("done\(output.utf8.count)") {
                        results += 1
                    } else if text.contains("waits for a free place") {
                        waiting += 1
                        try Data().write(to: go)
                    }
                }
                #expect(waiting > 0)
                try FileManager.default.removeItem(at: go)
                for id in round * 200 + 1...round * 200 + 200 {
                    #expect(try await Self.ask(petrel, "!auditlogs \(id)", from: "@root") == output, "\(id)")
                }
                memory.append(try Self.memory("VmRSS", of: petrel.id))
            }
            #expect(memory[2] - memory[0] < 10_240, "\(memory)")
            let list = try await Self.ask(petrel, "!audit -status successful -limit 500", from: "@root")
            #expect(list.split(separator: "\n").count == 500)
            #expect(try Self.zombies(of: petrel.id) == 0)
            // The store opens up to five connections for readers, with three descriptors each.
            #expect(try Self.descriptors(of: petrel.id) <= before + 15)
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
        }
    }

    @Test func `a large output does not stay in memory, and other commands are answered meanwhile`() async throws {
        let size = 300_000_000
        let jobs: JSONValue = [
            "templates": ["handshake": "accepted", "success": "done {{ size }}"],
            "commands": [
                "flood": [
                    "command": "sh", "args": ["-c", .string("yes 0123456789abcde | head -c \(size)")],
                    "auth_strategy": "any", "timeout": 0,
                ]
            ],
        ]
        try await withFolder { folder in
            let petrel = try Self.run(jobs, in: folder)
            for _ in 0..<20 { _ = try await Self.ask(petrel, "!uptime") }
            let before = try Self.memory("VmRSS", of: petrel.id)
            #expect(try await Self.ask(petrel, "!flood", room: "#ops") == "accepted")
            var (answers, last) = (0, "")
            while !last.hasPrefix("done") {
                last = try await Self.ask(petrel, "!uptime")
                if !last.hasPrefix("done") { answers += 1 }
            }
            #expect(last == "done \(size)" && answers > 0, "\(last)")
            let peak = try Self.memory("VmHWM", of: petrel.id)
            #expect(peak - before < 20_480, "\(before) \(peak)")
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
        }
    }
}
