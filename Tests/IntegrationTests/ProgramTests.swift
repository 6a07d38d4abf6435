import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

@Suite(.timeLimit(.minutes(30)), .serialized) struct ProgramTests {
    static func configuration(port: Int, _ change: (inout [String: JSONValue]) -> Void = { _ in }) throws
        -> Data
    {
        let base = "http://127.0.0.1:\(port)"
        var object: [String: JSONValue] = [
            "backends": ["text": ["format": "jsonl", "linger": 300]],
            "stackstorm": [
                "auth_url": .string("\(base)/auth/v1"), "api_url": .string("\(base)/api/v1"),
                "stream_url": .string("\(base)/stream/v1"), "timer_update": 1,
                "api_auth": ["user": ["name": "petrel", "password": ["env": "ST2_PASSWORD"]]],
            ],
        ]
        change(&object)
        return Data(try JSONValue.encode(object))
    }

    static let environment = ["ST2_PASSWORD": "demo"]

    static func simulator() async throws -> (Program, Int) {
        let program = try Program(["simulate", "--port", "0"])
        let address = try #require(await program.line())
        return (program, try #require(URL(string: address)?.port))
    }

    static func run(in folder: URL, _ data: Data) throws -> Program {
        try data.write(to: folder.appendingPathComponent("config.json"))
        return try Program(["run", "--config", "config.json"], in: folder, environment: environment)
    }

    private static let numbers = Locked(0)

    static func say(_ text: String, id: String? = nil) -> String {
        let number = numbers.withLock { number in
            number += 1
            return number
        }
        return ##"{"id":"\##(id ?? "\(number)")","from":"@alice","room":"#ops","text":"\##(text)","thread":"t1"}"##
    }

    @Test func `the demo answers two lines, waits for the result, and exits`() async throws {
        let demo = try Program(["demo", "--linger", "300"])
        demo.type("!st2help")
        demo.type("!st2 echo hello")
        demo.closeInput()
        let (status, output) = await demo.end()
        #expect(status == 0)
        #expect(output.contains("!st2 echo {{ message }}"))
        #expect(output.contains("stdout : hello"))
    }

    @Test func `JSON lines work with a StackStorm in another process`() async throws {
        let (simulator, port) = try await Self.simulator()
        try await withFolder { folder in
            let petrel = try Self.run(in: folder, try Self.configuration(port: port))
            petrel.type(Self.say("!st2help", id: "1"))
            petrel.type(Self.say("!st2 echo hello", id: "2"))
            petrel.closeInput()
            let (status, output) = await petrel.end()
            #expect(status == 0)
            let lines = try output.split(separator: "\n").map { try JSONValue.parse($0.utf8) }
            #expect(lines.count == 3)
            #expect(lines.contains { $0["in_reply_to"] == "1" && $0["text"]?.string?.contains("!st2 echo") == true })
            let result = try #require(lines.first { $0["text"]?.string?.contains("stdout : hello") == true })
            #expect(result["room"] == "#ops" && result["thread"] == "t1" && result["in_reply_to"] == "2")
        }
        simulator.signal(SIGTERM)
        #expect(await simulator.end().status == 0)
    }

    @Test(arguments: [SIGTERM, SIGINT]) func `a signal ends the program, even while StackStorm hangs`(signal: Int32)
        async throws
    {
        let (simulator, port) = try await Self.simulator()
        try await withFolder { folder in
            let petrel = try Self.run(in: folder, try Self.configuration(port: port))
            petrel.type(Self.say("!uptime"))
            #expect(await petrel.line() != nil)
            try await Self.control(port, ["fault": ["aliasexecution": "hang", "stream": "silent"]])
            petrel.type(Self.say("!st2 echo x"))
            petrel.type(Self.say("!version"))
            #expect(await petrel.line() != nil)
            let start = ContinuousClock.now
            petrel.signal(signal)
            let (status, _) = await petrel.end()
            #expect(status == 0)
            #expect(ContinuousClock.now - start < .seconds(180))
        }
        simulator.signal(SIGTERM)
        _ = await simulator.end()
    }

    @Test func `a signal ends the program while commands run and others wait for them`() async throws {
        let (simulator, port) = try await Self.simulator()
        try await withFolder { folder in
            let petrel = try Self.run(in: folder, try Self.configuration(port: port))
            petrel.type(Self.say("!uptime"))
            #expect(await petrel.line() != nil)
            try await Self.control(port, ["fault": ["aliasexecution": "hang"]])
            for number in 0..<2_000 {
                let who = ##""from":"@p\##(number % 40)","room":"#r\##(number % 50)""##
                petrel.type(##"{"id":"load \##(number)",\##(who),"text":"!st2 echo \##(number)"}"##)
            }
            // Its answer shows that the lines before it were read.
            petrel.type(Self.say("!version"))
            var text = ""
            while !text.contains("Petrel ") { text = try #require(await petrel.line()) }
            let start = ContinuousClock.now
            petrel.signal(SIGTERM)
            let (status, output) = await petrel.end()
            #expect(status == 0)
            #expect(output.contains("Petrel is stopping, so this command was not started."))
            #expect(ContinuousClock.now - start < .seconds(180))
        }
        simulator.signal(SIGTERM)
        _ = await simulator.end()
    }

    private static func control(_ port: Int, _ json: JSONValue) async throws {
        var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)/_ctl")))
        request.httpMethod = "POST"
        request.httpBody = Data(try JSONValue.encode(json))
        _ = try await URLSession.shared.data(for: request)
    }

    @Test func `the program starts without StackStorm, reports it, and recovers`() async throws {
        let port = try freePort()
        try await withFolder { folder in
            // The loop below would soon exceed the number of lines per minute, of which only the first is refused aloud.
            let settings = try Self.configuration(port: port) {
                $0["bot"] = ["limits": ["lines_per_minute": 1_000_000]]
            }
            let petrel = try Self.run(in: folder, settings)
            petrel.type(Self.say("!st2 echo x"))
            #expect(await petrel.line()?.contains("StackStorm cannot be reached") == true)
            petrel.type(Self.say("!status"))
            #expect(await petrel.line()?.contains("FAIL st2 api") == true)
            let second = try Program(["simulate", "--port", "\(port)"])
            #expect(await second.line() != nil)
            var text = ""
            let end = ContinuousClock.now + .seconds(300)
            while !text.contains("core.echo started"), ContinuousClock.now < end {
                petrel.type(Self.say("!st2 echo healed"))
                text = await petrel.line() ?? ""
            }
            #expect(text.contains("core.echo started"))
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
            second.signal(SIGTERM)
            _ = await second.end()
        }
    }

    @Test func `the program ends when its terminal is closed`() async throws {
        var (master, terminal): (CInt, CInt) = (-1, -1)
        #expect(openpty(&master, &terminal, nil, nil, nil) == 0)
        // The program must not hold the other end itself.
        _ = fcntl(master, F_SETFD, FD_CLOEXEC)
        let other = FileHandle(fileDescriptor: terminal, closeOnDealloc: true)
        let demo = try Program(["demo", "--linger", "600"], terminal: other)
        #expect(await demo.line(with: "Type !help") != nil)
        close(master)
        #expect(await demo.exit() == 0)
    }

    @Test func `a closed standard output is reported in one sentence`() async throws {
        try await withFolder { folder in
            try Self.configuration(port: 1).write(to: folder.appendingPathComponent("config.json"))
            let petrel = try Program(["run"], in: folder, environment: Self.environment, isReading: false)
            try petrel.closeOutput()
            petrel.type(Self.say("!version"))
            let said = "petrel: all backends have failed: text: standard output is closed"
            #expect(await petrel.error(with: said) != nil)
            #expect(await petrel.exit() == 69)
        }
    }

    @Test func `the end of the input and a simultaneous signal cause a normal exit`() async throws {
        try await withFolder { folder in
            for _ in 0..<10 {
                let petrel = try Self.run(in: folder, try Self.configuration(port: 1))
                petrel.type(Self.say("!version"))
                #expect(await petrel.line() != nil)
                petrel.closeInput()
                petrel.signal(SIGTERM)
                #expect(await petrel.end().status == 0)
            }
        }
    }

    @Test func `a repeated id runs once, and an invalid line is answered`() async throws {
        let (simulator, port) = try await Self.simulator()
        try await withFolder { folder in
            let petrel = try Self.run(in: folder, try Self.configuration(port: port))
            let line = Self.say("!st2 echo once", id: "same")
            petrel.type(line)
            petrel.type(line)
            petrel.type("nonsense")
            petrel.type(#"{"id": "odd", "from": 1}"#)
            petrel.type(" \t ")
            petrel.closeInput()
            let (status, output) = await petrel.end()
            #expect(status == 0)
            let lines = try output.split(separator: "\n").map { try JSONValue.parse($0.utf8) }
            #expect(lines.count { $0["text"]?.string?.contains("stdout : once") == true } == 1)
            let faults = lines.filter { $0["error"]?.string != nil }
            #expect(faults.map { $0["line"] } == [2, 3, 4])
            #expect(faults.map { $0["in_reply_to"] } == ["same", .null, "odd"])
        }
        simulator.signal(SIGTERM)
        _ = await simulator.end()
    }

    @Test func `only one process may use a store`() async throws {
        try await withFolder { folder in
            let data = try Self.configuration(port: 1)
            let first = try Self.run(in: folder, data)
            first.type(Self.say("!version"))
            #expect(await first.line() != nil)
            let second = try Self.run(in: folder, data)
            #expect(await second.error(with: "is in use by another Petrel process") != nil)
            #expect(await second.end().status == 69)
            first.signal(SIGTERM)
            #expect(await first.end().status == 0)
        }
    }

    @Test func `a port that is in use is reported with its key`() async throws {
        let (simulator, port) = try await Self.simulator()
        try await withFolder { folder in
            let data = try Self.configuration(port: port) { $0["web"] = ["port": .integer(port)] }
            let petrel = try Self.run(in: folder, data)
            #expect(await petrel.error(with: "web.port: \(port)") != nil)
            #expect(await petrel.end().status == 69)
        }
        simulator.signal(SIGTERM)
        _ = await simulator.end()
    }

    @Test func `SIGHUP reloads the settings that can change, and an invalid file changes nothing`() async throws {
        try await withFolder { folder in
            let petrel = try Self.run(in: folder, try Self.configuration(port: 1))
            petrel.type(Self.say("!version"))
            #expect(await petrel.line() != nil)
            let file = folder.appendingPathComponent("config.json")
            try Self.configuration(port: 1) { $0["bot"] = ["prefix": "?"] }.write(to: file)
            petrel.signal(SIGHUP)
            #expect(await petrel.error(with: "was reloaded") != nil)
            petrel.type(Self.say("?version"))
            #expect(await petrel.line()?.contains("Petrel") == true)
            try Data("{".utf8).write(to: file)
            petrel.signal(SIGHUP)
            #expect(await petrel.error(with: "was not reloaded") != nil)
            petrel.type(Self.say("?version"))
            #expect(await petrel.line()?.contains("Petrel") == true)
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
        }
    }

    @Test(arguments: ["99999", "-1", "65536"]) func `simulate rejects a port that does not exist`(
        port: String
    ) async throws {
        let program = try Program(["simulate", "--port=\(port)"])
        #expect(await program.error(with: "--port must be a whole number from 0 to 65535.") != nil)
        #expect(await program.end().status != 0)
    }

    @Test func `health and metrics have the format that their clients expect`() async throws {
        let (simulator, port) = try await Self.simulator()
        try await withFolder { folder in
            let data = try Self.configuration(port: port) { object in
                object["web"] = ["port": 0, "webhook_secret": "s3cret"]
            }
            let petrel = try Self.run(in: folder, data)
            let line = try #require(await petrel.error(with: "The web server listens on"))
            let web = try #require(
                line.split(separator: " ").last.flatMap { Int($0.dropLast($0.hasSuffix(".") ? 1 : 0)) })
            petrel.type(Self.say("!st2 echo x"))
            _ = await petrel.line()
            _ = await petrel.line()
            let base = "http://127.0.0.1:\(web)"
            let health = try await Self.get("\(base)/health")
            #expect(try JSONValue.parse(health)["ready"] == true)
            // The command is counted when it has ended, which may be later than its reply.
            var (metrics, text) = (Data(), "")
            for _ in 0..<10_000 where !text.contains("petrel_commands_total{outcome=\"succeeded\"} 1\n") {
                metrics = try await Self.get("\(base)/metrics")
                text = String(decoding: metrics, as: UTF8.self)
            }
            #expect(text.contains("petrel_commands_total{outcome=\"succeeded\"} 1\n"))
            #expect(text.contains("petrel_stream_age_seconds{instance=\"st2\"}"))
            #expect(text.contains("# TYPE petrel_stream_reconnects_total counter\n"))
            #expect(text.contains("# TYPE petrel_results_replayed_total counter\n"))
            try await Self.checkWithPromtool(metrics)
            petrel.signal(SIGTERM)
            #expect(await petrel.end().status == 0)
        }
        simulator.signal(SIGTERM)
        _ = await simulator.end()
    }

    static func get(_ address: String) async throws -> Data {
        try await URLSession.shared.data(from: try #require(URL(string: address))).0
    }

    /// `make test` installs Debian's `promtool`; without it, this test fails with a message.
    static func checkWithPromtool(_ metrics: Data) async throws {
        let promtool = Process()
        promtool.executableURL = URL(fileURLWithPath: "/usr/bin/promtool")
        promtool.arguments = ["check", "metrics"]
        let input = Pipe()
        promtool.standardInput = input
        let exited = Signal()
        promtool.terminationHandler = { _ in exited.open() }
        try promtool.run()
        input.fileHandleForWriting.write(metrics)
        try input.fileHandleForWriting.close()
        await exited.wait()
        #expect(promtool.terminationStatus == 0)
    }
}
