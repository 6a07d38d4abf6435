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
            // The result of the first run may be repeated.
            func press(as person: String) async -> String {
                house.backend.type("!\(line)", as: person)
                while true {
                    let text = await house.next()
                    if text != "Petrel stopped" { return text }
                }
            }
            #expect(await press(as: "@alice") == "Job 1 is not running: it is Killed.")
            #expect(await press(as: "@bob") == "There is no job 1 of yours. !jobs lists your jobs.")
        }
    }
}
