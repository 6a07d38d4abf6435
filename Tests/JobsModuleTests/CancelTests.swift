import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The *Cancel* button below a confirmation.
@Suite struct CancelTests {
    private static let settings: JSONValue = [
        "commands": ["x": ["command": "sh", "args": ["-c", "echo up; exec sleep 300"], "auth_strategy": "any"]],
        "templates": ["handshake": "started", "failure": "{{ error }}"], "stop_timeout": 1,
    ]

    @Test func `A call that is refused because the queue is full takes no number`() async throws {
        var settings = try #require(Self.settings.object)
        settings["pool"] = 1
        settings["queue"] = 0
        settings["templates"] = ["handshake": "started {{ jobid }}", "failure": "{{ error }}"]
        try await JobsHouse(.object(settings)).run { house in
            #expect(await house.ask("!x") == "started 1")
            for _ in 0..<3 { #expect(await house.ask("!x").hasPrefix("1 job is running already")) }
            house.backend.type("!kill 1", as: "@root")
            // It may have been killed before its program was started, and the answers come in any order.
            while await !house.next().hasPrefix("killed by @root") {}
            while true {
                let text = await house.ask("!x")
                if text.hasPrefix("1 job is running already") || text.contains("Issued") { continue }
                #expect(text == "started 2")
                break
            }
        }
    }

    @Test func `A job is stopped by whoever stops it first`() async throws {
        let settings: JSONValue = [
            "commands": [
                "x": [
                    "command": "sh", "args": ["-c", "trap '' TERM; echo up; while :; do sleep 300; done"],
                    "auth_strategy": "any", "no_handshake": true,
                ]
            ], "templates": ["failure": "{{ error }}"],
        ]
        try await JobsHouse(settings).run { house in
            house.backend.type("!x")
            while await !house.ask("!tail").contains("up") {}
            #expect(await house.ask("!cancel 1").contains("Issued command cancellation to job 1"))
            #expect(await house.ask("!kill 1", as: "@root").contains("Job 1 is ending already."))
            #expect(await house.next() == "cancelled")
            #expect(await house.ask("!auditjob 1", as: "@root").contains("* By @alice\n"))
        }
    }

    @Test func `An old button is answered in one sentence, also after a restart`() async throws {
        let store = try TestStore()
        let traits = BackendTraits(edits: true, forms: true)
        let line = try await JobsHouse(Self.settings, traits: traits, store: store).run { house in
            house.backend.type("!x")
            let button = try #require(await house.backend.next()?.reply.buttons.first)
            while await !house.ask("!tail").contains("up") {}
            return button.line
        }
        #expect(line == "cancel 1")
        try await JobsHouse(Self.settings, traits: traits, store: store).run { house in
            // The result of the first run may be repeated, and its confirmation completed.
            func press(as person: String) async -> String {
                house.backend.type("!\(line)", as: person)
                while true {
                    let text = await house.next()
                    if text != "Petrel stopped", !text.hasPrefix("started\nJob 1: Killed") { return text }
                }
            }
            #expect(await press(as: "@alice") == "Job 1 is not running: it is Killed.")
            #expect(await press(as: "@bob") == "There is no job 1 of yours. !jobs lists your jobs.")
        }
    }
}
