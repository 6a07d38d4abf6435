import AWSClient
import FaultSuite
import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule
@testable import XMPPBackend

/// `!infra search` on a real server, with instances from a closure.
@Suite(.timeLimit(.minutes(30))) struct InfraTests {
    private static let id = "i-0123456789abcdef0"

    @Test(arguments: XMPPServer.Kind.tested)
    func `an instance is found from a room, and what only the asker needs is sent to them`(
        _ kind: XMPPServer.Kind
    ) async throws {
        let arn = try #require(RoleARN("arn:aws:iam::111111111111:role/PetrelInspection"))
        let account = InfraAccount(name: "production", role: AssumableRole(arn: arn), regions: ["eu-west-2"])
        var settings = InfraSettings(accounts: [account], environment: [:])
        settings.patience = .seconds(3_600)
        settings.limit = .seconds(3_600)
        let clock = AWSClock(local: { 0 }) { _, _ in }
        let prepared = settings
        try await XMPPServer.run(kind) { server in
            let backend = server.backend(try server.settings())
            try await TestHost.unhurried(backend).run({ host in
                [
                    InfraModule(prepared, host: host.access(for: "infra"), clock: clock, now: { .now }) {
                        filters, _, _, body in
                        if filters.first?.values == [Self.id] { body(Instance(id: Self.id)) }
                    }
                ]
            }) {
                let alice = try await server.person("alice")
                try await alice.saw("petrel")
                try alice.say("!infra search \(Self.id)")
                let answer = try await alice.heard(Self.id)
                #expect(answer["kind"] == "groupchat")
                let console =
                    "https://console.aws.amazon.com/ec2/home?region=eu-west-2#InstanceDetails:instanceId=\(Self.id)"
                #expect(answer["text"]?.string?.contains(console) == true)
                try alice.say("!infra search web")
                #expect(try await alice.heard("No instance matches")["kind"] == "chat")
            }
        }
    }
}
