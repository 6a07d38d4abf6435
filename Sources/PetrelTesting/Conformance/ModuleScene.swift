import Logging
import PetrelCore
import PetrelKit
import PetrelSupport

/// A module on a host, with the actions and checks that cases have in common.
struct ModuleScene: Sendable {
    let stage: ModuleStage
    let notes: ConformanceNotes

    /// A running module.
    struct Running: Sendable {
        let module: any BotModule
        let host: ModuleHost
        let backend: RecordingBackend
        let audit: MemoryAudit
        let log: Locked<[String]>
    }

    /// Runs the module until the body returns.
    /// - Parameter before: a closure that is called with the module before the host runs it.
    func hosted(
        before: (any BotModule) async throws -> Void = { _ in },
        _ body: @escaping @Sendable (Running) async throws -> Void
    ) async throws {
        let backend = RecordingBackend(onTimeout: { _ in })
        let log = Locked<[String]>([])
        let host = try TestHost(
            [backend], admins: ["@alice"], logger: Logger(label: "conformance") { _ in CollectingLogHandler(log) })
        let access = host.access(for: stage.name)
        let module = try stage.make(access)
        try expect(
            module.name == stage.name, "a module with the name of its host, “\(stage.name)”",
            got: "one with the name “\(module.name)”")
        let running = Running(module: module, host: access, backend: backend, audit: host.audit, log: log)
        try await before(module)
        try await host.run([module]) { try await body(running) }
    }

    func measured(_ name: String, _ duration: Duration) { notes.measured(name, duration) }

    func expect(
        _ condition: Bool, _ wanted: String, got: String, file: StaticString = #fileID, line: UInt = #line
    ) throws {
        if !condition { throw ConformanceFailure(expected: wanted, got: got, file: file, line: line) }
    }

    /// Runs a module, and cancels it after a pause.
    func runs(_ module: any BotModule, for pause: Duration) async throws {
        let task = Task { try await module.run() }
        try await Task.sleep(for: pause)
        let start = ContinuousClock.now
        task.cancel()
        try await withDeadline(DirectRun.stopPatience, "the end of `run`") { _ = await task.result }
        measured("stop", .now - start)
    }

    /// Calls every command with arguments, as the host does. An answer and a ``ReplyError`` are both answers.
    func callAll(_ arguments: [String]) async throws {
        try await hosted { running in
            for command in running.commands {
                for text in arguments { try await running.call(command, text) }
            }
        }
    }
}

extension ModuleScene.Running {
    /// The module's commands.
    var commands: [Command] {
        let all = host.help.commands(for: invocation("", ""))
        return all.isEmpty ? module.commands : all
    }

    /// Returns a call of a command by an administrator in a direct chat, who may run everything.
    func invocation(_ command: String, _ arguments: String, parsed: (any Sendable)? = nil) -> Invocation {
        let message = ChatMessage(
            id: "1", sender: Person(id: "@alice", name: "@alice"), text: "!\(command) \(arguments)")
        return Invocation(
            message: message, address: Address(answering: message, from: backend.name), traits: backend.traits,
            command: command, arguments: arguments, parsed: parsed, line: "\(command) \(arguments)", prefix: "!",
            isAdmin: true, started: { _, _ in }, send: { _, _ in })
    }

    /// Calls a command. Throws ``ConformanceFailure`` if it throws an error that a person cannot read.
    func call(_ command: Command, _ arguments: String) async throws {
        let parsed = command.parse?(arguments, nil)
        let call = invocation(command.name, arguments, parsed: parsed?.value)
        let excerpt = String(arguments.unicodeScalars.prefix(40)).debugDescription
        try await withDeadline(DirectRun.patience, "an answer of “\(command.name)” to \(excerpt)") {
            do {
                _ = try await command.handler(call)
            } catch is any ReplyError {
                // The answer is the text of the error.
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                throw ConformanceFailure(
                    expected: "an answer of “\(command.name)” to \(excerpt), or a refusal with a sentence for the user",
                    got: "\(error)")
            }
        }
    }
}
