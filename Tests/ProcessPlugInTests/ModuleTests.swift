import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting
import PlugInProtocol
import ProcessModule
import Testing

@Suite(.timeLimit(.minutes(30))) struct ModuleTests {
    @Test func `commands of a program are parsed, answered and audited`() async throws {
        try await FakePlugIn.run { backend, host in
            #expect(await backend.ask("echo 'a b' 3") == #"{"count": 3, "text": "a b"}"#)
            #expect(await backend.ask("echo x pin=1234") == #"{"pin": "1234", "text": "x"}"#)
            #expect(host.audit.all.last?.line == "echo text=x pin=•••")
            #expect(await backend.ask("echo") == "`text` is missing. Usage: !echo <text> [count] [pin]")
            #expect(host.audit.all.last?.line == "echo •••")
            #expect(await backend.ask("echo refuse") == "No.")
            #expect(await backend.ask("raw  two  words ") == "two  words")
        }
    }

    @Test(arguments: [
        "e\u{301}\u{200D}👩‍👩‍👧", "a\r\nb", String(repeating: "x", count: 16_000), #"{"jsonrpc": "2.0"}"#,
        #"\n"\"#, "a\u{2028}b", "tab\there", "=", "a\u{0}b",
    ])
    func `odd text reaches the program unchanged`(text: String) async throws {
        try await FakePlugIn.run { backend, _ in
            let hex = text.utf8.map { "0\(String($0, radix: 16))".suffix(2) }.joined().prefix(1_000)
            #expect(await backend.ask("hex \(text)") == hex)
        }
    }

    @Test func `the program gets only the environment that it is given`() async throws {
        let launch = FakePlugIn.launch("module", environment: ["CITY": "Oslo"])
        try await FakePlugIn.run(launch) { backend, _ in
            let names = await backend.ask("echo environment").split(separator: " ")
            let own = ProcessInfo.processInfo.environment.keys
            #expect(names.contains("CITY") && names.contains("PATH") && own.contains("HOME"))
            #expect(!names.contains("HOME") && !names.contains("USER"))
        }
    }

    @Test(arguments: [
        ("die", "The plug-in fake ended before it answered. The command may have had an effect."),
        ("half", "The plug-in fake ended before it answered."), ("flood", "The plug-in fake ended before it answered."),
        ("junk", "The plug-in fake ended before it answered."), ("child", "The plug-in fake ended before it answered."),
        ("ids", "done"), ("utf8", "done"), ("many", "done"), ("requests", "done"), ("error", "done"),
    ])
    func `a program that misbehaves is restarted if necessary, and others are answered`(
        what: String, reply: String
    ) async throws {
        try await FakePlugIn.run { backend, _ in
            #expect(await backend.ask("do \(what)").hasPrefix(reply))
            #expect(await backend.ask("other") == "here")
            if reply != "done" { await backend.untilReady() }
            #expect(await backend.ask("raw again") == "again")
        }
    }

    @Test(arguments: ["hang", "stop", "deaf"])
    func `a program that hangs is given up for the command, and then restarted`(what: String) async throws {
        var limits = FakePlugIn.limits
        limits.pingInterval = .seconds(2)
        limits.ping = .seconds(5)
        limits.kill = .seconds(1)
        let launch = FakePlugIn.launch("module", timeout: .seconds(1))
        try await FakePlugIn.run(launch, limits: limits) { backend, _ in
            backend.type("!do \(what)")
            #expect(await backend.ask("other") == "here")
            let reply = await backend.next()?.reply.text
            #expect(reply == "The plug-in fake did not answer within 1 s. The command may still have an effect.")
            await backend.untilReady()
            // A machine that stands still for some seconds makes the next runs look like hangs, too.
            var again = ""
            for _ in 0..<20 where again != "again" {
                again = await backend.ask("raw again")
                while again == "ready" { again = await backend.next()?.reply.text ?? "" }
            }
            #expect(again == "again")
        }
    }

    @Test func `while the program does not run, its commands say so`() async throws {
        try await withFolder { folder in
            let gate = folder.appendingPathComponent("gate")
            let launch = FakePlugIn.launch("module", ["die-behind-gate"], environment: ["GATE": gate.path])
            try await FakePlugIn.run(launch) { backend, host in
                try Data().write(to: gate)
                _ = await backend.ask("do die")
                let reply = await backend.ask("raw x")
                // “ended before it answered” or “has ended”, depending on when the end is noticed.
                #expect(reply.contains(" ended") && reply.contains("restarted automatically"), "\(reply)")
                try FileManager.default.removeItem(at: gate)
                await backend.untilReady()
                #expect(await backend.ask("raw again") == "again")
            }
        }
    }

    @Test func `a command that is called while the program starts waits for it`() async throws {
        let store = try TestStore()
        try await FakePlugIn.run(store: store) { backend, _ in #expect(await backend.ask("raw x") == "x") }
        try await withFolder { folder in
            let gate = folder.appendingPathComponent("gate")
            let launch = FakePlugIn.launch("module", ["wait-for-gate", "quiet"], environment: ["GATE": gate.path])
            try await FakePlugIn.run(launch, startsWell: false, store: store) { backend, _ in
                backend.type("!raw early")
                #expect(await backend.ask("other") == "here")
                try Data().write(to: gate)
                #expect(await backend.next()?.reply.text == "early")
            }
        }
    }

    @Test func `a module that declares its commands later is ready then`() async throws {
        // The host runs backends when its modules are ready.
        try await FakePlugIn.run(FakePlugIn.launch("module", ["later", "quiet"]), startsWell: false) { backend, _ in
            #expect(await backend.ask("raw x") == "x")
        }
    }

    @Test func `a name that another module has is shown in the status`() async throws {
        let backend = RecordingBackend { Issue.record("\($0)") }
        let host = try TestHost([backend], admins: ["@alice"])
        let limits = FakePlugIn.limits
        let modules = ["one", "two"].map { name -> ProcessModule in
            var launch = FakePlugIn.launch("module", ["quiet"])
            launch.name = name
            return ProcessModule(launch, host.access(for: name), limits: limits)
        }
        try await host.run(modules) {
            let lines = host.access(for: "one").health.status().filter { $0.subject.hasPrefix("commands of") }
            #expect(lines.map(\.subject) == ["commands of two"] && lines.first?.isHealthy == false)
            #expect(
                lines.first?.detail == "cannot be called: “echo” belongs to one, “raw” belongs to one, "
                    + "“hex” belongs to one, “do” belongs to one")
        }
    }

    @Test(arguments: [
        ("refuse", "refuses to start: The settings lack a city."), ("die-at-start", "ended with status 7"),
        ("old", "does not speak protocol version 1"), ("many", "wrote a line of more than 1048576 bytes"),
    ])
    func `a program that cannot start is reported`(fault: String, reason: String) async throws {
        let isLogged = Signal()
        let logger = Logger(label: "test") { _ in
            CollectingLogHandler { line in if line.contains(reason) { isLogged.open() } }
        }
        try await FakePlugIn.run(FakePlugIn.launch("module", [fault]), logger: logger, startsWell: false) {
            backend, _ in
            #expect(await backend.ask("other") == "here")
            await Signal.wait(for: isLogged, atMost: RecordingBackend.patience)
            #expect(isLogged.isOpen)
        }
    }

    @Test func `the commands of the latest run are known from the start`() async throws {
        let store = try TestStore()
        try await FakePlugIn.run(store: store) { backend, _ in #expect(await backend.ask("raw x") == "x") }
        for (fault, words) in [
            ("die-at-start", ["The plug-in fake ended with status 7", "restarted automatically"]),
            ("refuse", ["The plug-in fake refuses to start: The settings lack a city. It is not restarted"]),
        ] {
            let launch = FakePlugIn.launch("module", [fault])
            try await FakePlugIn.run(launch, startsWell: false, store: store) { backend, _ in
                let reply = await backend.ask("raw x")
                for text in words { #expect(reply.contains(text), "\(reply)") }
            }
        }
    }

    @Test(arguments: [
        ("ech x pin=1234", "echo •••"), ("raw x pin=1234 y", "raw x pin=••• y"), ("raw pin=\"12 34\" y", "raw pin=•••"),
        ("do pin=", "do pin=•••"),
    ])
    func `a secret in a line for another command is masked`(line: String, audited: String) async throws {
        try await FakePlugIn.run { backend, host in
            _ = await backend.ask(line)
            #expect(host.audit.all.last?.line == audited || host.audit.all.isEmpty)
            #expect(host.audit.all.last?.line.contains("34") != true)
        }
    }

    @Test func `the values of a form are audited and judged`() async throws {
        try await FakePlugIn.run { backend, host in
            backend.type("!do", values: ["b": "2", "pin": "1234", "a": "1"])
            _ = await backend.next()
            #expect(host.audit.all.last?.line == "do a=1 b=2 pin=•••")
        }
    }

    @Test func `a program that does not exist is reported`() async throws {
        let isLogged = Signal()
        let logger = Logger(label: "test") { _ in
            CollectingLogHandler { line in if line.contains("could not be started") { isLogged.open() } }
        }
        let launch = PlugInLaunch(name: "fake", command: ["/no/such/program"], folder: "/")
        try await FakePlugIn.run(launch, logger: logger, startsWell: false) { _, _ in
            await Signal.wait(for: isLogged, atMost: RecordingBackend.patience)
            #expect(isLogged.isOpen)
        }
    }

    @Test func `standard error is logged without secrets and control characters`() async throws {
        let lines = Locked<[String]>([])
        let isLogged = Signal()
        let logger = Logger(label: "test") { _ in
            CollectingLogHandler { line in
                lines.withLock { $0.append(line) }
                if line.contains("red") { isLogged.open() }
            }
        }
        let launch = FakePlugIn.launch("module", secrets: [Secret("sesame")])
        try await FakePlugIn.run(launch, logger: logger) { backend, _ in
            #expect(await backend.ask("do error") == "done")
            await Signal.wait(for: isLogged, atMost: RecordingBackend.patience)
        }
        let text = lines.value.joined(separator: "\n")
        #expect(text.contains("fake: the token is •••") && !text.contains("sesame") && !text.contains("\u{1B}"))
    }

    @Test(arguments: [[], ["deaf"]]) func `the program ends with the bot`(faults: [String]) async throws {
        let start = ContinuousClock.now
        try await FakePlugIn.run(FakePlugIn.launch("module", faults)) { backend, _ in
            #expect(await backend.ask("raw x") == "x")
        }
        #expect(ContinuousClock.now - start < .seconds(300))
    }
}
