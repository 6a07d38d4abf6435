import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The sample conversations of Meeseeks-Box's document.
@Suite struct ConversationTests {
    private static let settings: JSONValue = [
        "commands": [
            "wait": [
                "command": "sh", "args": ["-c", "echo first; echo up; exec sleep 300"], "auth_strategy": "any",
                "timeout": 0,
            ],
            "docker-ps": ["command": "echo", "args": ["CONTAINER"], "auth_strategy": "any"],
            "df": ["command": "sh", "args": ["-c", "echo no space; exit 1"], "auth_strategy": "any"],
        ],
        "templates": [
            "handshake": "accepted", "success": "{{ userlink }} done\n{{ output }}",
            "failure": "{{ userlink }} failed: {{ error }}\n{{ output }}",
        ],
    ]

    private func run(_ body: @escaping @Sendable (JobsHouse) async throws -> Void) async throws {
        let house = try JobsHouse(Self.settings)
        try await house.run(body)
    }

    /// Starts the command that waits, and waits until its output is stored.
    private func startWaiting(_ house: JobsHouse, _ id: Int, as person: String = "@pablo") async {
        #expect(await house.ask("!wait", as: person) == "accepted")
        let log = await house.ask("!logs \(id)", as: person, containing: "up")
        #expect(log.contains("up"), "\(log)")
    }

    @Test func `jobs, job, last, logs, tail and head show what a person has started`() async throws {
        try await run { house in
            #expect(await house.ask("!df", as: "@pablo", in: nil) == "accepted")
            #expect(await house.next() == "@pablo failed: exit status 1\nno space\n")
            #expect(await house.ask("!docker-ps", as: "@pablo", in: nil) == "accepted")
            #expect(await house.next() == "@pablo done\nCONTAINER\n")
            #expect(
                await house.ask("!jobs", as: "@pablo").withoutAges == """
                    @pablo done
                    2 - AGE - docker-ps by pablo in DM - Successful
                    1 - AGE - df by pablo in DM - Failed

                    """)
            #expect(
                await house.ask("!jobs -status failed --limit=1", as: "@pablo").withoutAges.contains("1 - AGE - df by"))
            #expect(
                await house.ask("!job 2", as: "@pablo").withoutAges.hasPrefix(
                    """
                    @pablo done
                    * ID 2
                    * Status Successful
                    * Command docker-ps
                    * Where IM
                    * When AGE
                    """))
            let last = await house.ask("!last", as: "@pablo")
            #expect(last.contains("* ID 2\n"))
            #expect(last.contains(#/\n\* When .+ \(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\)\n/#), "\(last)")
            #expect(await house.ask("!logs 1", as: "@pablo").contains("no space\n"))
            #expect(await house.ask("!tail", as: "@pablo") == "@pablo done\nCONTAINER\n")
            #expect(await house.ask("!head 1 -limit 1", as: "@pablo") == "@pablo done\nno space\n")
        }
    }

    @Test func `Output can be read while the job runs, and its owner cancels it`() async throws {
        try await run { house in
            await startWaiting(house, 1)
            #expect(await house.ask("!tail -limit 1 1", as: "@pablo") == "@pablo done\nup\n")
            #expect(await house.ask("!jobs -status running", as: "@pablo").contains("1 - "))
            #expect(await house.ask("!cancel 1", as: "@omame").contains("There is no job 1 of yours"))
            house.backend.type("!cancel 1", as: "@pablo")
            let replies = [await house.next(), await house.next()]
            #expect(replies.contains("@pablo done\nIssued command cancellation to job 1\n"))
            #expect(replies.contains("@pablo failed: cancelled\nfirst\nup\n"))
            #expect(await house.ask("!cancel 1", as: "@pablo").contains("not running: it is Killed"))
        }
    }

    @Test func `kill is for administrators, and ends the job of anyone`() async throws {
        try await run { house in
            await startWaiting(house, 1)
            #expect(await house.ask("!kill 1", as: "@pablo").contains("administrators"))
            house.backend.type("!kill 1", as: "@root")
            let replies = [await house.next(), await house.next()]
            #expect(replies.contains("@root done\nIssued command cancellation to job 1\n"))
            #expect(await house.ask("!job 1", as: "@pablo").contains("* Reason killed by @root"))
        }
    }

    @Test func `Jobs of others are shown to administrators only`() async throws {
        try await run { house in
            #expect(await house.ask("!df", as: "@pablo") == "accepted")
            _ = await house.next()
            for line in ["job 1", "logs 1", "tail 1", "head 1"] {
                #expect(await house.ask("!\(line)", as: "@omame").contains("There is no job 1 of yours"))
            }
            for line in ["auditjob 1", "auditlogs 1", "groups", "audit"] {
                #expect(await house.ask("!\(line)", as: "@omame").contains("Only administrators"))
            }
            #expect(await house.ask("!auditjob 1", as: "@root").contains("* Exit code 1"))
            #expect(await house.ask("!auditlogs 1", as: "@root").contains("no space\n"))
            #expect(await house.ask("!groups", as: "@root").contains("- admin: @root"))
        }
    }

    @Test func `An alias stands for a command and its flags`() async throws {
        try await run { house in
            await startWaiting(house, 1, as: "@root")
            #expect(
                await house.ask("!alias ps audit -status running", as: "@root")
                    == "@root done\nalias created successfully\n")
            #expect(await house.ask("!ps", as: "@root").hasSuffix("- wait by root in #ops - Running"))
            #expect(
                await house.ask("!alias pablo-failed audit -status failed -user pablo", as: "@root").contains("success")
            )
            #expect(
                await house.ask("!aliases", as: "@root") == """
                    @root done
                    - pablo-failed - audit -status failed -user pablo
                    - ps - audit -status running

                    """)
            #expect(await house.ask("!unalias pablo-failed", as: "@root").hasSuffix("- ps - audit -status running\n"))
            #expect(await house.ask("!ps", as: "@omame").contains("Unknown command"))
            #expect(await house.ask("!alias jobs job", as: "@omame").contains("hides the command jobs"))
            #expect(await house.ask("!alias alias jobs", as: "@omame").contains("cannot be an alias"))
            #expect(await house.ask("!alias !my_df docker-ps 'a  b'", as: "@yuki").contains("success"))
            #expect(await house.ask("!aliases", as: "@yuki").hasSuffix("- my_df - docker-ps 'a  b'\n"))
            #expect(await house.ask("!my_df", as: "@yuki") == "accepted")
            #expect(await house.next() == "@yuki done\nCONTAINER a  b\n")
        }
    }

    @Test func `audit lists decisions and jobs`() async throws {
        try await run { house in
            #expect(await house.ask("!df", as: "@pablo", in: nil) == "accepted")
            _ = await house.next()
            let all = await house.ask("!audit", as: "@root").withoutAges
            #expect(all.contains("· df") && all.contains("job 1 - AGE - df by pablo in DM - Failed"))
            #expect(
                await house.ask("!audit -status failed -user @pablo", as: "@root").withoutAges
                    == "1 - AGE - df by pablo in DM - Failed")
            #expect(all.contains("· df · job 1\n"), "\(all)")
            for person in ["pablo", "@pablo"] {
                let own = await house.ask("!audit -user \(person)", as: "@root").withoutAges
                #expect(own.contains("allowed @pablo · direct chat") && own.contains("job 1 - AGE - df by pablo"))
            }
            #expect(await house.ask("!audit -denied -status failed", as: "@root").contains("exclude each other"))
            #expect(await house.ask("!audit —denied", as: "@root").contains("no matching"))
            #expect(
                await house.ask("!audit -status broken", as: "@root").contains(
                    "queued, running, successful, failed, killed"))
        }
    }
}
