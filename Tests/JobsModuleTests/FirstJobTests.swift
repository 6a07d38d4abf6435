import PetrelKit
import PetrelSupport
import Testing

@Suite struct FirstJobTests {
    private static let quiet: JSONValue = [
        "handshake": "{{ command }} accepted",
        "success": "{{ command }} succeeded{% if output %}\n{{ output }}{% endif %}",
        "failure": "{{ command }} failed: {{ error }}{% if output %}\n{{ output }}{% endif %}",
    ]

    private func house(_ commands: JSONValue) throws -> JobsHouse {
        try JobsHouse(["commands": commands, "templates": Self.quiet])
    }

    @Test func `A command of the configuration runs, is recorded, and its output is said`() async throws {
        let house = try house(["echo": ["command": "echo", "args": ["pre"], "auth_strategy": "any"]])
        try await house.run { house in
            #expect(await house.ask("!echo \"a  b\" $HOME") == "echo accepted")
            #expect(await house.next() == "echo succeeded\npre a  b $HOME\n")
            #expect(
                await house.ask("!jobs").withoutAges == "jobs succeeded\n1 - AGE - echo by alice in #ops - Successful\n"
            )
            let details = await house.ask("!job 1")
            #expect(details.contains("* Args \"a  b\" \"$HOME\"") && details.contains("* Where #ops"))
            #expect(await house.ask("!logs 1") == "logs succeeded\npre a  b $HOME\n")
        }
    }

    @Test func `The output of a failing command is in its reply`() async throws {
        let house = try house([
            "bad": ["command": "sh", "args": ["-c", "echo out; echo err >&2; exit 3"], "auth_strategy": "any"]
        ])
        try await house.run { house in
            #expect(await house.ask("!bad") == "bad accepted")
            let reply = await house.next()
            #expect(reply.hasPrefix("bad failed: exit status 3\n"))
            #expect(reply.contains("out\n") && reply.contains("err\n"))
        }
    }

    @Test func `Nobody may run a command without a strategy, and the reply names it`() async throws {
        let house = try house(["echo": ["command": "echo"]])
        try await house.run { house in
            let reply = await house.ask("!echo x", as: "@root")
            #expect(reply.contains("jobs.commands.echo.auth_strategy is none"))
        }
    }

    @Test func `A program receives who asked, and none of Petrel's secrets`() async throws {
        let house = try JobsHouse([
            "templates": Self.quiet,
            "commands": [
                "env": [
                    "command": "env", "auth_strategy": "any", "no_handshake": true, "env": ["TOKEN": ["env": "SECRET"]],
                ]
            ],
        ])
        try await house.run { house in
            let lines = await house.ask("!env").split(separator: "\n").map(String.init)
            for line in [
                "PETREL_USER=@alice", "PETREL_USER_ID=@alice", "PETREL_ROOM=#ops", "PETREL_BACKEND=test",
                "PETREL_JOB_ID=1", "TOKEN=s3cret", "LANG=C",
            ] { #expect(lines.contains(line), "\(line)") }
            #expect(!lines.contains("SECRET=s3cret"))
        }
    }
}
