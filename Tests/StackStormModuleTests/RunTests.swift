import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

@Suite(.timeLimit(.minutes(30))) struct RunTests {
    private static func executionID(in text: String) throws -> String {
        String(try #require(text.firstMatch(of: /[0-9a-f]{24}/)).output)
    }

    @Test func `an alias runs, is acknowledged, and its result comes back to the thread`() async throws {
        try await Bench.run { bench in
            let id = bench.backend.type("!st2 echo hello", thread: "t1")
            let ack = await bench.backend.next()
            #expect(ack?.reply.text.hasPrefix("core.echo started: ") == true)
            #expect(ack?.reply.kind == .acknowledgement)
            let result = await bench.backend.next()
            #expect(result?.reply.text.contains("stdout : hello") == true)
            #expect(result?.address == Address(backend: "test", place: .room("#ops"), thread: "t1", inReplyTo: id))
            let settled = await bench.backend.nextSettled()
            #expect(settled != nil && bench.backend.promised == [settled])
        }
    }

    @Test func `in a direct chat the result goes to the user`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 echo hello", in: nil)
            _ = await bench.backend.next()
            #expect(await bench.backend.next()?.address.place == .direct("@alice"))
        }
    }

    @Test func `arguments keep their line breaks and spaces`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 echo one\n  two   three")
            _ = await bench.backend.next()
            #expect(await bench.text().contains("one\n  two   three"))
        }
    }

    @Test func `the acknowledgement has the format of the alias`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 drain web1 for 5 minutes")
            #expect(await bench.text() == "Draining web1 for 5 minutes.")
            #expect(await bench.text() == "web1 takes no new connections for 5 minutes.")
            bench.backend.type("!st2 status of nginx")
            #expect(await bench.text().contains("web1  nginx  up"))
            bench.backend.type("!st2 restart nginx on web9")
            let ack = await bench.text()
            #expect(ack.hasPrefix("Restarting nginx. http://"))
            #expect(await bench.text() == "nginx restarted on 1 host.")
        }
    }

    @Test func `a rejection is reported with StackStorm's message`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 drain web1 for many minutes")
            let reply = await bench.backend.next()
            #expect(reply?.reply.kind == .error)
            #expect(reply?.reply.text.hasPrefix("Failed to cast value \"many\"") == true)
        }
    }

    @Test func `a failed execution is announced as failed`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 verify backup of orders")
            _ = await bench.backend.next()
            let text = await bench.text()
            #expect(text.contains("status : failed") && text.contains("checksum of table orders differs"))
        }
    }

    @Test func `unknown, disabled and ambiguous lines are explained`() async throws {
        let content = SimulatedContent(
            aliases: [
                SimulatedContent.alias("a.one", "", action: "core.echo", formats: ["show {{ message }}"]),
                SimulatedContent.alias("b.two", "", action: "core.echo", formats: ["show {{ message }} now"]),
                SimulatedContent.alias("a.off", "", action: "core.echo", formats: ["off {{ x }}"], isEnabled: false),
            ], actions: [SimulatedContent.echo])
        try await Bench.run(content: content) { bench in
            bench.backend.type("!st2 shwo x")
            #expect(await bench.text().contains("Did you mean `!st2 show {{ message }}`"))
            bench.backend.type("!st2 show x now")
            let text = await bench.text()
            #expect(text.contains("(a.one)") && text.contains("(b.two)"))
            bench.backend.type("!st2 off 1")
            #expect(await bench.text().contains("is disabled"))
            bench.backend.type("!st2")
            #expect(await bench.text().contains("!st2help"))
        }
    }

    @Test func `with an empty prefix, lines that match no other command are aliases`() async throws {
        try await Bench.run(prefix: "") { bench in
            bench.backend.type("!echo hello")
            #expect(await bench.text().hasPrefix("core.echo started"))
            #expect(await bench.text().contains("stdout : hello"))
            bench.backend.type("!st2help")
            #expect(await bench.text().contains("  !echo {{ message }}"))
        }
    }

    private struct Infra: BotModule {
        let name = "infra"
        let commands = [Command("infra search", usage: "QUERY", summary: "Search.") { _ in nil }]
    }

    @Test func `with an empty prefix, commands of other modules are suggested as well`() async throws {
        try await Bench.withSimulator { _, port in
            let backend = RecordingBackend()
            let host = try TestHost([backend])
            var settings = StackStormModuleSettings(client: try Bench.client(port: port))
            settings.prefix = ""
            try await host.run([try host.module(settings), Infra()]) {
                backend.type("!infra")
                let text = await backend.next()?.reply.text
                #expect(text?.contains("Did you mean `!infra search QUERY`?") == true, "\(text ?? "")")
            }
        }
    }

    @Test func `several instances run side by side, each with its own StackStorm`() async throws {
        try await Bench.withSimulator { _, first in
            try await Bench.withSimulator { second, port in
                await second.setFault(.status(500), for: .aliasexecution)
                let backend = RecordingBackend()
                let host = try TestHost([backend])
                var modules: [StackStormModule] = []
                for (prefix, port) in [("dc1", first), ("dc2", port)] {
                    var settings = StackStormModuleSettings(client: try Bench.client(port: port))
                    settings.prefix = prefix
                    modules.append(try host.module(settings))
                }
                try await host.run(modules) {
                    backend.type("!dc2 echo x")
                    #expect(await backend.next()?.reply.kind == .error)
                    backend.type("!dc1 echo x")
                    #expect(await backend.next()?.reply.text.hasPrefix("core.echo started") == true)
                    #expect(await backend.next()?.reply.text.contains("stdout : x") == true)
                    backend.type("!dc2help fleet")
                    #expect(await backend.next()?.reply.text.contains("!dc2 drain") == true)
                }
            }
        }
    }

    @Test func `two instances with one StackStorm post a result once`() async throws {
        try await Bench.withSimulator { stackStorm, port in
            let backend = RecordingBackend()
            let host = try TestHost([backend])
            let modules = try ["a", "b"].map { prefix in
                var settings = StackStormModuleSettings(client: try Bench.client(port: port))
                settings.prefix = prefix
                return try host.module(settings)
            }
            try await host.run(modules) {
                backend.type("!a echo once")
                #expect(await backend.next()?.reply.text.hasPrefix("core.echo started") == true)
                #expect(await backend.next()?.reply.text.contains("stdout : once") == true)
                // A second copy would arrive before this message.
                await stackStorm.publish(payload: ["channel": "#ops", "message": "last"], route: "errbot")
                #expect(await backend.next()?.reply.text == "last")
            }
        }
    }

    @Test func `verbs act on executions from chat, for the user who started them`() async throws {
        try await Bench.run(admins: ["@root"]) { bench in
            bench.backend.type("!st2 restart nginx on web1")
            let ack = await bench.text()
            let id = try Self.executionID(in: ack)
            #expect(await bench.text() == "nginx restarted on 1 host.")
            bench.backend.type("!st2 status \(id)")
            let status = await bench.text()
            #expect(status.hasPrefix("fleet.restart is succeeded: restart nginx on web1"))
            bench.backend.type("!st2 output \(id)")
            #expect(await bench.text() == "web1: stopping nginx\nweb1: started, healthy\n")
            bench.backend.type("!st2 cancel \(id)")
            #expect(await bench.text() == "Action cannot be canceled. State = succeeded.")
            bench.backend.type("!st2 status \(id)", as: "@bob")
            #expect(await bench.text().contains("Only the user who started this execution"))
            bench.backend.type("!st2 status \(id)", as: "@root")
            #expect(await bench.text().hasPrefix("fleet.restart is succeeded"))
            bench.backend.type("!st2 rerun \(id)")
            #expect(await bench.text().hasPrefix("Restarting nginx."))
            let again = await bench.text()
            #expect(again == "nginx restarted on 1 host.")
            bench.backend.type("!st2 status 000000000000000000000000")
            #expect(await bench.text().hasPrefix("Unknown execution"))
            bench.backend.type("!st2 reload")
            #expect(await bench.text() == "Loaded 8 aliases from StackStorm.")
        }
    }

    @Test func `a running execution can be cancelled`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 restart nginx on \(Array(repeating: "w", count: 500).joined(separator: ","))")
            let id = try Self.executionID(in: await bench.text())
            bench.backend.type("!st2 cancel \(id)")
            // The end of the execution may be announced before StackStorm's answer to the request is read.
            let texts = [await bench.text(), await bench.text()]
            #expect(texts.contains("fleet.restart is being cancelled."))
            #expect(texts.contains { $0.contains("status : canceled") })
        }
    }

    @Test(arguments: [
        ("", 7, ""), ("--pack fleet", 4, ""), ("pack fleet", 4, ""), ("fleet", 4, ""), ("--filter=backup", 2, ""),
        ("filter restart", 1, ""), ("--limit 2", 2, "1 to 2 of 7"), ("--limit 2 --offset 4", 2, ""),
        ("nothing", 0, "No command"),
    ]) func `help is grouped, filtered and paged`(arguments: String, count: Int, extra: String) async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2help \(arguments)")
            let text = await bench.text()
            #expect(text.components(separatedBy: "\n  !st2 ").count - 1 == count)
            #expect(!text.contains("purge backups"))
            if !extra.isEmpty { #expect(text.contains(extra)) }
        }
    }

    @Test(arguments: ["--limit 0", "--limit x", "--pack", "--nonsense", "--offset -1"])
    func `invalid arguments of help are reported`(
        arguments: String
    ) async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2help \(arguments)")
            #expect(await bench.backend.next()?.reply.kind == .error)
        }
    }
}
