import Foundation
import JobsModule
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// Functions of plug-ins for CatOps, whose calls are jobs.
@Suite(.timeLimit(.minutes(20))) struct CatOpsTests {
    private static let source = """
        import os, signal, sys, time
        from catops import ArgumentParserError, create_slack_attachment, create_slack_payload

        def ping(argv, params):
            \"""Check the bot.\"""
            print("printed", argv[1:])
            return create_slack_payload(text="Meow " + " ".join(argv[1:]), response_type="in_channel")

        def card(argv, params): return create_slack_payload(attachments=create_slack_attachment(title="Title"))

        def boom(argv, params): raise ValueError("wrong")

        def usage(argv, params): raise ArgumentParserError("usage: this")

        def end(argv, params): os._exit(3)

        def hang(argv, params):
            print("begins")
            time.sleep(1000)

        def deaf(argv, params):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("begins")
            time.sleep(1000)

        def jobs(argv, params): return "mine"

        def who(argv, params): return str(os.getpid())

        def jobs_mine(argv, params): return "mine"

        def help_ping(argv, params): return "mine"
        """

    private static func jobs(_ folder: URL, _ settings: [String: JSONValue] = [:]) -> JSONValue {
        let section = ["plugins": .string(folder.path), "auth_strategy": "any"].merging(settings) { $1 }
        return ["catops": .object(section)]
    }

    /// Writes the plug-in, and runs a bot with it.
    private static func run(
        _ settings: [String: JSONValue] = [:], rules: JSONValue = [], traits: JobsHouse.Traits = .standard,
        _ body: @Sendable (JobsHouse, URL) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let plugins = folder.appendingPathComponent("plugins")
            try FileManager.default.createDirectory(
                at: plugins, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            try write(source, "one.py", plugins)
            try await JobsHouse(jobs(plugins, settings), rules: rules, traits: traits.backend).run { house in
                // A machine that is busy loads the files later.
                _ = await house.ask("!ping", until: "Meow")
                try await body(house, plugins)
            }
        }
    }

    private static func write(_ source: String, _ name: String, _ folder: URL) throws {
        let file = folder.appendingPathComponent(name)
        try Data(source.utf8).write(to: file, options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file.path)
    }

    /// Returns the number of the last job of @alice.
    private static func last(_ house: JobsHouse) async throws -> Int {
        let line = await house.ask("!last").components(separatedBy: "\n").first { $0.hasPrefix("* ID ") }
        return try #require(line.flatMap { Int($0.dropFirst(5)) })
    }

    @Test func `a call is a job with its output, its end and its help`() async throws {
        try await Self.run { house, _ in
            #expect(await house.ask("!ping it's \"a b\"") == "Meow it's \"a b\"")
            let id = try await Self.last(house)
            let details = await house.ask("!job \(id)")
            #expect(details.contains("* Status Successful") && details.contains("* Command ping"))
            #expect(details.contains(#"* Args "it's" ""a" "b"""#) && details.contains("* Where #ops"))
            let log = await house.ask("!logs \(id)")
            #expect(log.contains(#"printed ["it's", '"a', 'b"']"#) && log.contains("Meow it's"))
            #expect(await house.ask("!help ping").contains("Check the bot."))
            #expect(await house.ask("!jobs").contains("\(id) - "))
            #expect(await house.ask("!audit", as: "@root").contains("ping by"))
        }
    }

    @Test func `secrets are masked everywhere but in the call`() async throws {
        try await Self.run(["secrets": [2, "--password", "token"]]) { house, _ in
            let line = "web hidden1 --password hidden2 token=hidden3 --password=hidden4"
            #expect(await house.ask("!ping \(line)") == "Meow \(line)")
            let details = await house.ask("!job \(try await Self.last(house))")
            #expect(
                details.contains(#"* Args "web" "•••" "--password" "•••" "token=•••" "--password=•••""#), "\(details)")
            #expect(await house.ask("!boom a b --password hidden5").contains("boom a ••• --password •••"))
            #expect(await house.ask("!usage a b token=hidden6 x").contains("usage a ••• token=••• x"))
            // Quotation marks are part of the words, so the secret is more than one.
            #expect(await house.ask("!boom a b --password \"hidden7 hidden8\" nine").contains("--password ••• ••• •••"))
            let details2 = await house.ask("!job \(try await Self.last(house))")
            let audit = house.host.audit.all.map(\.line).joined(separator: "\n") + details2
            #expect(!audit.contains("hidden"), "\(audit)")
        }
    }

    @Test func `replies keep what CatOps has in them`() async throws {
        try await Self.run(traits: .slack) { house, _ in
            house.backend.type("!card", as: "@alice", in: "#ops")
            let reply = try #require(await house.backend.next()?.reply)
            #expect(reply.isPrivate && reply.extra["slack"]?["attachments"]?.array?.first?["title"] == "Title")
            let id = try await Self.last(house)
            #expect(await house.ask("!logs \(id)").contains("Title"))
        }
    }

    @Test func `a function that fails is a job that failed, with the reason`() async throws {
        try await Self.run { house, _ in
            let reasons = [
                "boom": "ValueError: wrong", "usage": "usage: this", "end": "its process ended (status 3)",
            ]
            for (name, reason) in reasons {
                #expect(await house.ask("!\(name)").contains(name))
                let id = try await Self.last(house)
                let details = await house.ask("!job \(id)")
                #expect(details.contains("* Status Failed") && details.contains("* Reason \(reason)"), "\(details)")
            }
        }
    }

    @Test(arguments: ["hang", "deaf"]) func `a call that takes too long or is cancelled is killed`(
        name: String
    ) async throws {
        // On a busy machine the program may need longer than a second to begin the call.
        let isDone = Locked(false)
        for (timeout, words) in [(1, "1 s"), (10, "10 s"), (100, "100 s")] where !isDone.value {
            try await Self.run(["timeout": .integer(timeout)]) { house, _ in
                let reply = await house.ask("!\(name)")
                #expect(reply.hasPrefix("\(name) failed: timed out after \(words)\n"), "\(reply)")
                guard reply.contains(" s\nIt may have had an effect.") else { return }
                let id = try await Self.last(house)
                let details = await house.ask("!job \(id)")
                #expect(details.contains("* Status Killed"), "\(details)")
                #expect(await house.ask("!ping", until: "Meow") == "Meow ")
                isDone.withLock { $0 = true }
            }
        }
        #expect(isDone.value)
        try await Self.run { house, _ in
            house.backend.type("!\(name)", as: "@alice", in: "#ops")
            #expect(await house.ask("!tail", containing: "begins").contains("begins"))
            let id = try await Self.last(house)
            house.backend.type("!cancel \(id)", as: "@alice", in: "#ops")
            let replies = [await house.next(), await house.next()]
            #expect(replies.contains { $0.hasPrefix("\(name) failed: cancelled") }, "\(replies)")
            #expect(await house.ask("!job \(id)").contains("* Status Killed"))
            #expect(await house.ask("!ping", until: "Meow") == "Meow ")
        }
    }

    @Test func `rights and access rules are those of other jobs`() async throws {
        let rules: JSONValue = [["command": "jobs:card", "denyusers": ["*"]]]
        try await Self.run(rules: rules) { house, plugins in
            #expect(await house.ask("!card").contains("access_controls[0]"))
            func reload(_ settings: [String: JSONValue]) throws {
                let (section, _) = try JobsHouse.settings(Self.jobs(plugins, settings), groups: ["crew": ["@bob"]])
                JobsPlugIn([section]).reload(house.modules)
            }
            let process = await house.ask("!who")
            try reload(["auth_strategy": "none"])
            #expect(await house.ask("!ping").contains("jobs.catops.auth_strategy is none"))
            try reload(["auth_strategy": "group", "allowed_groups": ["crew"]])
            #expect(await house.ask("!ping").contains("jobs.catops.allowed_groups allows only crew"))
            #expect(await house.ask("!acl why @alice #ops ping", as: "@root").contains("jobs.catops.allowed_groups"))
            #expect(await house.ask("!ping", as: "@bob") == "Meow ")
            try reload(["channel_strategy": "im_only"])
            #expect(await house.ask("!ping").contains("jobs.catops.channel_strategy"))
            #expect(await house.ask("!who", in: nil) == process)
        }
    }

    @Test func `a reload replaces the program, and calls that run go on`() async throws {
        try await Self.run { house, plugins in
            let other = plugins.deletingLastPathComponent().appendingPathComponent("other")
            try FileManager.default.createDirectory(
                at: other, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
            try Self.write("def other(argv, params): return 'from another folder'", "two.py", other)
            house.backend.type("!hang", as: "@alice", in: "#ops")
            #expect(await house.ask("!tail", containing: "begins").contains("begins"))
            let id = try await Self.last(house)
            JobsPlugIn([try JobsHouse.settings(Self.jobs(other)).0]).reload(house.modules)
            #expect(await house.ask("!other", until: "from") == "from another folder")
            #expect(await house.ask("!ping", until: "Unknown").contains("Unknown command"))
            #expect(await house.ask("!job \(id)").contains("* Status Running"))
            house.backend.type("!cancel \(id)", as: "@alice", in: "#ops")
            let replies = [await house.next(), await house.next()]
            #expect(replies.contains { $0.hasPrefix("hang failed: cancelled") }, "\(replies)")
            JobsPlugIn([try JobsHouse.settings([:]).0]).reload(house.modules)
            #expect(await house.ask("!other", until: "Unknown").contains("Unknown command"))
            JobsPlugIn([try JobsHouse.settings(Self.jobs(plugins)).0]).reload(house.modules)
            #expect(await house.ask("!ping", until: "Meow") == "Meow ")
        }
    }

    @Test func `a name that another command of jobs has is reported`() async throws {
        try await Self.run { house, _ in
            #expect(await house.ask("!jobs") != "mine")
            let status = await house.ask("!status", as: "@root")
            #expect(status.contains("have these names, or begin as they do: "), "\(status)")
            for name in ["jobs", "jobs_mine", "help_ping"] { #expect(status.contains(name), "\(status)") }
            #expect(await house.ask("!jobs mine") != "mine")
            #expect(await house.ask("!help ping").contains("Check the bot."))
        }
    }
}
