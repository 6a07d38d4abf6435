import LockModule
import PetrelKit
import PetrelTesting
import Testing

@Suite(.timeLimit(.minutes(10)))
struct LockTests {
    @Test func `A lock belongs to the person who took it`() async throws {
        let chat = RecordingBackend(onTimeout: { Issue.record("\($0)") })
        let host = try TestHost([chat], admins: ["@root"])
        try await host.run({ [LockModule($0.access(for: "lock"))] }) {
            chat.type("!lock take API new version")
            #expect(await chat.next()?.reply.text == "API is locked.")
            chat.type("!lock take API other version", as: "@bob")
            #expect(await chat.next()?.reply.text == "@alice has locked API: new version")
            chat.type("!lock release API", as: "@bob")
            #expect(await chat.next()?.reply.text == "Only @alice or an administrator can release API.")
            chat.type("!lock release API", as: "@root")
            #expect(await chat.next()?.reply.text == "API is released.")
            chat.type("!lock list")
            #expect(await chat.next()?.reply.text == "No service is locked.")
        }
    }

    @Test func `Locks outlive a restart`() async throws {
        let store = try TestStore()
        let before = RecordingBackend(onTimeout: { Issue.record("\($0)") })
        try await TestHost([before], store: store).run({ [LockModule($0.access(for: "lock"))] }) {
            before.type("!lock take API new version")
            #expect(await before.next()?.reply.text == "API is locked.")
        }
        let after = RecordingBackend(onTimeout: { Issue.record("\($0)") })
        try await TestHost([after], store: store).run({ [LockModule($0.access(for: "lock"))] }) {
            after.type("!lock list")
            let text = try #require(await after.next()?.reply.text)
            #expect(text.hasPrefix("API: @alice, since "))
            #expect(text.hasSuffix(": new version"))
        }
    }

    @Test func `The status line counts the locks`() async throws {
        let chat = RecordingBackend(onTimeout: { Issue.record("\($0)") })
        let host = try TestHost([chat])
        let module = LockModule(host.access(for: "lock"))
        #expect(module.status().map(\.isHealthy) == [false])
        try await host.run([module]) {
            chat.type("!lock take API new version")
            _ = await chat.next()
            #expect(module.status() == [StatusLine("locks", isHealthy: true, "1 taken")])
        }
    }
}
