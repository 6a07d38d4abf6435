import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient
import StackStormSimulator

/// A simulated StackStorm and the built program, with a store of its own.
struct House: Sendable {
    let stackStorm: SimulatedStackStorm
    let folder: URL
    let tally = Tally()
    private let program: String
    private let running = Locked<Program?>(nil)
    private let reading = Locked<Task<Void, Never>?>(nil)
    private let count = Locked(0)

    static let logger = Logger(label: "faults") { _ in SwiftLogNoOpLogHandler() }

    /// Runs the body with a simulator, in a folder that is removed afterwards.
    static func with(
        _ program: String, in folder: URL? = nil, _ body: @Sendable @escaping (House) async throws -> Void
    ) async throws {
        let own = FileManager.default.temporaryDirectory.appendingPathComponent("petrel-faults-\(UUID())")
        let folder = folder ?? own
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: own) }
        let stackStorm = SimulatedStackStorm()
        try await withSimulator(stackStorm) { port in
            let house = House(stackStorm: stackStorm, folder: folder, program: program)
            try house.configure(port)
            do {
                try await body(house)
                await house.stop()
            } catch {
                await house.stop()
                throw error
            }
        }
    }

    /// Runs a simulator, and the body with the settings of a client for it.
    static func with(
        _ stackStorm: SimulatedStackStorm, _ body: @Sendable @escaping (StackStormSettings) async throws -> Void
    ) async throws {
        try await withSimulator(stackStorm) { port in
            let base = "http://127.0.0.1:\(port)"
            guard let auth = URL(string: "\(base)/auth/v1"), let api = URL(string: "\(base)/api/v1"),
                let stream = URL(string: "\(base)/stream/v1")
            else { throw Refusal("the URL is invalid") }
            try await body(
                StackStormSettings(
                    auth: auth, api: api, stream: stream, login: .password(name: "petrel", password: Secret("demo"))))
        }
    }

    private static func withSimulator(
        _ stackStorm: SimulatedStackStorm, _ body: @Sendable @escaping (Int) async throws -> Void
    ) async throws {
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let simulator = Simulator(stackStorm, logger: logger) { found.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { found.finish() }
                try await simulator.run()
            }
            defer { group.cancelAll() }
            for await port in ports { return try await body(port) }
            throw Refusal("the simulated StackStorm did not start")
        }
    }

    private init(stackStorm: SimulatedStackStorm, folder: URL, program: String) {
        self.stackStorm = stackStorm
        self.folder = folder
        self.program = program
    }

    private func configure(_ port: Int) throws {
        let base = "http://127.0.0.1:\(port)"
        let config: JSONValue = [
            "backends": ["text": ["format": "jsonl"]],
            "log": ["level": "warning"],
            "stackstorm": [
                "auth_url": .string("\(base)/auth/v1"), "api_url": .string("\(base)/api/v1"),
                "stream_url": .string("\(base)/stream/v1"),
                "api_auth": ["user": ["name": "petrel", "password": "demo"]], "grace_period": 5,
            ],
        ]
        let bytes: [UInt8] = try JSONValue.encode(config)
        try Data(bytes).write(to: folder.appendingPathComponent("config.json"))
    }

    /// Starts the program and reads its messages.
    func start() throws {
        let program = try Program(["run", "--config", "config.json"], of: program, in: folder)
        running.withLock { $0 = program }
        let tally = tally
        let task = Task {
            while let line = await program.line() {
                if let text = (try? JSONValue.parse(line.utf8))?["text"]?.string { tally.said(text) }
            }
        }
        reading.withLock { $0 = task }
    }

    /// Waits until the program has connected to the stream.
    func untilListening() async { await stackStorm.untilHeard() }

    /// Kills the program with SIGKILL and reads the rest of its output.
    func kill() async {
        running.value?.signal(SIGKILL)
        await reading.value?.value
        await stackStorm.cutStreams()
    }

    func stop() async {
        running.value?.signal(SIGTERM)
        await reading.value?.value
    }

    /// Publishes an announcement of StackStorm.
    /// - Parameter marks: true to measure the time until the message arrives.
    func announce(_ name: String, marks: Bool = false) async {
        tally.sent(name, marks: marks)
        await stackStorm.publish(payload: ["channel": "#ops", "message": .string("[\(name)]")], route: "errbot")
    }

    /// Types a command. If StackStorm starts it, its result must arrive.
    func type(_ name: String) {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let line: JSONValue = [
            "id": .string("\(number)"), "from": .string("@person\(number % 20)"), "room": "#ops",
            "text": .string("!st2 echo [\(name)]"),
        ]
        if let bytes: [UInt8] = try? JSONValue.encode(line) {
            running.value?.type(String(decoding: bytes, as: UTF8.self))
        }
    }

    /// Adds the commands that StackStorm has started to the tally, and counts repeated starts.
    func countCommands(_ outcome: inout Outcome) async {
        for (command, times) in await stackStorm.started {
            guard let name = command.firstMatch(of: /\[([a-z]+\d+)\]/).map({ String($0.1) }) else { continue }
            tally.sent(name)
            outcome.ranTwice += times - 1
        }
    }
}
