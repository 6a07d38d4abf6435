import FaultSuite
import Foundation
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// The messages for lines that StackStorm does not accept.
@Suite(.timeLimit(.minutes(30))) struct MessageTests {
    private static let content = SimulatedContent(
        aliases: SimulatedContent.demo.aliases + [
            SimulatedContent.alias("ops.bar", "", action: "core.echo2", formats: ["bar {{ someval }}"]),
            SimulatedContent.alias("ops.typed", "", action: "ops.typed", formats: ["typed {{ name }} {{ count }}"]),
        ],
        actions: SimulatedContent.demo.actions + [
            SimulatedAction("core.echo2", parameters: ["someval": ["type": "string"]]) { run in
                ["stdout": .string(run.text("someval"))]
            },
            SimulatedAction(
                "ops.typed",
                parameters: [
                    "name": ["type": "string"], "count": ["type": "integer"], "flag": ["type": "boolean"],
                ]
            ) { run in ["stdout": .string("flag is \(run.text("flag"))")] },
        ])

    @Test func `explain says why no aliases are known`() async throws {
        let settings = StackStormModuleSettings(client: try Bench.client(port: 1))
        guard case .failed(let reason) = try await settings.explain("echo x", storage: nil).alias else {
            Issue.record("aliases were found")
            return
        }
        #expect(
            reason
                == "no aliases are stored from an earlier run, and they cannot be fetched from StackStorm: no connection"
        )
    }

    @Test func `an invalid number in help is rejected as in the other commands`() async throws {
        try await Bench.run { bench in
            for (option, least) in [("--limit 0", 1), ("limit 0", 1), ("--limit=x", 1), ("--offset -1", 0)] {
                bench.backend.type("!st2help \(option)")
                let name = option.contains("limit") ? "limit" : "offset"
                #expect(await bench.text() == "--\(name) must be a whole number of at least \(least).")
            }
        }
    }

    @Test func `a pair at the end of a line is explained, and the suggested line works`() async throws {
        try await Bench.run(content: Self.content) { bench in
            let address = "https://www.example.com/api?some=url&with=eq"
            bench.backend.type("!st2 bar \(address)")
            let text = await bench.text()
            #expect(text.hasPrefix("StackStorm reads name=value at the end of a line as a parameter"))
            #expect(text.hasSuffix("Write it as `!st2 bar - someval=\(address)`."))
            bench.backend.type("!st2 bar - someval=\(address)")
            _ = await bench.text()
            #expect(await bench.text().contains("stdout : \(address)"))
        }
    }

    @Test func `a line break in place of a space is explained, and an incomplete command is completed`() async throws {
        try await Bench.run(content: Self.content) { bench in
            bench.backend.type("!st2 echo\nmy text")
            let broken = await bench.text()
            #expect(broken.contains("line break") && broken.contains("Did you mean `!st2 echo my text`?"), "\(broken)")
            bench.backend.type("!st2 verify")
            #expect(await bench.text().contains("Did you mean `!st2 verify backup of {{ database }}`?"))
            bench.backend.type("!st2 status of")
            #expect(await bench.text().contains("Did you mean `!st2 status of <service>`?"))
            bench.backend.type("!st2 claen *.log on *web*")
            #expect(await bench.text().hasPrefix("StackStorm has no command “claen *.log on *web*”."))
        }
    }

    @Test func `a boolean accepts only true and false in lines, and more words in forms`() async throws {
        try await Bench.run(content: Self.content) { bench in
            bench.backend.type("!st2 typed x 5 flag=yes")
            #expect(await bench.text().hasSuffix("(flag must be true or false)"))
            bench.backend.type("!st2 form ops.typed", values: ["name": "x", "count": "5", "flag": "yes"])
            _ = await bench.text()
            #expect(await bench.text().contains("flag is true"))
        }
    }

    @Test func `help lists the verbs`() async throws {
        try await Bench.run(admins: []) { bench in
            bench.backend.type("!st2help")
            #expect(await bench.text().contains("Also: !st2 status [ID], output ID"))
            #expect(
                bench.module.commands.contains { $0.name == "st2" && $0.summary.contains("status [ID], output ID") })
        }
    }

    @Test func `status shows the commands of the room, and all of them in a direct chat`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 restart nginx on \(Array(repeating: "w", count: 200).joined(separator: ","))")
            _ = await bench.text()
            bench.backend.type("!st2 status", in: "#other")
            #expect(
                await bench.text()
                    == "No command that you started here is still running. To see those that you started elsewhere, ask "
                    + "in a direct chat.")
            bench.backend.type("!st2 status", in: nil)
            #expect(await bench.text().hasPrefix("One of your commands has no result yet:"))
        }
    }

    @Test func `a rejection without a message is one sentence`() async throws {
        try await Bench.run { bench in
            await bench.stackStorm.setFault(.blank(400), for: .aliasexecution)
            bench.backend.type("!st2 echo x")
            #expect(await bench.text() == "StackStorm rejected the request (status 400).")
        }
    }

    /// Returns the reply of a module to a command while it has no alias table, and its status.
    private static func answer(
        _ change: @Sendable @escaping (inout StackStormSettings) -> Void
    ) async throws -> (text: String, status: StatusLine) {
        try await Bench.withSimulator { _, port in
            let settings = StackStormModuleSettings(client: try Bench.client(port: port, change))
            let backend = RecordingBackend()
            let host = try TestHost([backend])
            let module = try host.module(settings)
            return try await host.run([module]) {
                backend.type("!st2 echo x")
                return (await backend.next()?.reply.text ?? "", module.status()[0])
            }
        }
    }

    @Test func `a wrong password is reported with the setting to check`() async throws {
        let (text, status) = try await Self.answer { $0.login = .password(name: "petrel", password: Secret("wrong")) }
        #expect(
            text == "StackStorm cannot be used: it does not accept the bot's login (Invalid or missing credentials). "
                + "Nothing was started; an administrator has to check api_auth.")
        #expect(!status.isHealthy && status.detail.hasSuffix("check api_auth"), "\(status.detail)")
    }

    @Test func `a URL without its version is reported with the setting to check`() async throws {
        let (text, status) = try await Self.answer { $0.api.deleteLastPathComponent() }
        #expect(text.contains("usually ends in /v1") && text.hasSuffix("check api_url."), "\(text)")
        #expect(!text.contains("..") && status.detail.hasSuffix("check api_url"), "\(status.detail)")
    }

    @Test(arguments: ["•\0", "\0", "é\0", "\u{301}", "\u{600}", "\u{FFFF}", "👨‍👩‍👧\0"])
    func `help responds to any filter`(filter: String) async throws {
        try await Bench.run(content: Self.content) { bench in
            bench.backend.type("!st2help --filter \"\(filter)\"")
            let text = await bench.text()
            #expect(!text.isEmpty)
        }
    }
}
