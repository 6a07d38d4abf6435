import Logging
package import PetrelKit
import PetrelSupport
package import PlugInProtocol

/// A module that is a program.
package final class ProcessModule: BotModule {
    /// The name of the module.
    package let name: String
    /// No commands: the program declares them when it has started.
    package let commands: [Command] = []
    /// True, so that the commands are known when the backends connect.
    package let preparesItself = true
    let limits: PlugInProcess.Limits
    let host: ModuleHost
    let service: ModuleRequests
    let calls = RunningCalls()
    let state: Locked<State>
    private let recorder: (any CommandRecording)?

    struct State: Sendable {
        /// The program; nil for none.
        var launch: PlugInLaunch?
        /// Opens when another program takes the place of this one.
        var replaced = Signal()
        var current: ProgramRun?
        /// The runs with the calls that they answer.
        var runs: [String: ProgramRun] = [:]
        /// Opens when the program that is being started is ready, or has failed; nil between a failure and the restart.
        var start: Signal?
        /// The reason for which the program does not run.
        var problem = "has not started yet"
        /// True if the program will not be started again.
        var isFinal = false
        var isFirstRun = true
        var version: String?
    }

    /// Creates a module.
    package convenience init(
        _ launch: PlugInLaunch, _ host: ModuleHost, limits: PlugInProcess.Limits = PlugInProcess.Limits()
    ) {
        self.init(launch, named: launch.name, host, limits: limits)
    }

    /// Creates a module that may be without a program at first.
    /// - Parameter recorder: the part that offers the commands in place of this module.
    package init(
        _ launch: PlugInLaunch?, named name: String, _ host: ModuleHost,
        limits: PlugInProcess.Limits = PlugInProcess.Limits(), recorder: (any CommandRecording)? = nil
    ) {
        self.name = name
        self.limits = limits
        self.host = host
        self.recorder = recorder
        state = Locked(State(launch: launch))
        service = ModuleRequests(host, calls, recorder)
    }

    /// Replaces the program, unless it is the same. Calls that are running go on in the earlier program, and new ones
    /// wait until the other has started.
    package func replace(_ launch: PlugInLaunch?) {
        let replaced = state.withLock { state -> Signal? in
            if state.launch == launch { return nil }
            state.launch = launch
            state.current = nil
            state.start = launch.map { _ in Signal() }
            state.problem = "has not started yet"
            state.isFinal = false
            return state.replaced
        }
        replaced?.open()
    }

    /// Starts the program and serves it until it ends. Throws ``PlugInFailure``, after which the host restarts it.
    ///
    /// The commands of the latest run are known from the start, so that they are answered, and the backends do not
    /// wait, if the program starts slowly or not at all. A command that is called meanwhile waits for the program.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { runs in
            while true {
                let (launch, replaced) = state.withLock { state in
                    state.replaced = Signal()
                    return (state.launch, state.replaced)
                }
                if let launch {
                    runs.addTask { try await self.serve(launch, until: replaced) }
                } else {
                    host.commands.ready()
                }
                runs.addTask { await replaced.wait() }
                while !replaced.isOpen {
                    // The end of an earlier program is no reason to start another one.
                    try await runs.next()
                    try Task.checkCancellation()
                }
            }
        }
    }

    /// Runs a program until it has ended, or was replaced and has answered its calls.
    private func serve(_ launch: PlugInLaunch, until replaced: Signal) async throws {
        let start = state.withLock { state in
            if let start = state.start, !start.isOpen { return start }
            let start = Signal()
            state.start = start
            return start
        }
        await recall(launch)
        let process = process(launch, until: replaced)
        let run = ProgramRun(process)
        let retirement = Task {
            await replaced.wait()
            await run.retire()
            if replaced.isOpen { process.end(PlugInFailure("was replaced")) }
        }
        defer { retirement.cancel() }
        do {
            try await process.run(hello: hello(launch)) { result in
                if replaced.isOpen { return }
                try self.open(run, launch, result)
                start.open()
                if result["loading"]?.bool != true { self.host.commands.ready() }
            }
        } catch {
            if replaced.isOpen, !Task.isCancelled { return }
            try await failed(error, start, until: replaced)
        }
    }

    /// Notes the end of a program, and throws the error. If another start cannot succeed, waits instead, so that the
    /// commands and `!status` tell the reason.
    private func failed(_ error: any Error, _ start: Signal, until replaced: Signal) async throws {
        let failure = error as? PlugInFailure
        state.withLock { state in
            state.current = nil
            state.start = nil
            state.problem = failure?.reason ?? "is stopping"
            state.isFinal = failure?.isFinal == true
        }
        start.open()
        service.forget()
        host.commands.ready()
        guard let failure, failure.isFinal else { throw error }
        host.logger.error("The plug-in \(name) \(failure.reason). It will not be restarted.")
        await replaced.wait()
        try Task.checkCancellation()
    }

    private func process(_ launch: PlugInLaunch, until replaced: Signal) -> PlugInProcess {
        PlugInProcess(launch, keepsOrder: true, limits: limits, logger: host.logger) { method, params in
            if method == "commands" {
                if !replaced.isOpen {
                    try self.publish(params["commands"], launch)
                    self.host.commands.ready()
                }
                return [:]
            }
            return try await self.service.answer(method, params)
        } receive: { method, params in
            if !replaced.isOpen { self.receive(method, params, launch) }
        }
    }

    private func hello(_ launch: PlugInLaunch) -> [String: JSONValue] {
        [
            "protocol": 1, "petrel": .string(host.bot.version), "role": "module", "name": .string(launch.name),
            "bot": .string(host.bot.name), "prefix": .string(host.bot.prefix), "settings": launch.settings,
        ]
    }

    private func open(_ run: ProgramRun, _ launch: PlugInLaunch, _ result: JSONValue) throws {
        do {
            try publish(result["commands"], launch)
        } catch {
            throw PlugInFailure("declares its commands incorrectly: \(launch.masked(error.message))")
        }
        let version = result["version"]?.string.map { Printable.line(String($0.unicodeScalars.prefix(40))) }
        state.withLock { state in
            state.current = run
            state.version = version
        }
        host.logger.info("The plug-in \(name) runs\(version.map { ", version \($0)" } ?? "").")
    }

    private func publish(_ value: JSONValue?, _ launch: PlugInLaunch) throws(RPCError) {
        let declared = try CommandDeclaration.list(value, timeout: launch.timeout)
        if let recorder {
            recorder.declared(declared.map { DeclaredCommand($0.name, summary: $0.summary) })
        } else {
            host.commands.publish(
                declared.map { declaration in declaration.command { try await self.run(declaration, $0) } })
        }
        DeclarationRecord(host.storage).put(value)
    }

    /// Publishes the commands of the latest run.
    private func recall(_ launch: PlugInLaunch) async {
        guard state.withLock({ $0.isFirstRun }) else { return }
        state.withLock { $0.isFirstRun = false }
        do {
            guard let value = try await DeclarationRecord(host.storage).value() else { return }
            try publish(value, launch)
            host.commands.ready()
        } catch {
            host.logger.warning("Cannot read the commands that the plug-in \(name) had before: \(error)")
        }
    }

    private func receive(_ method: String, _ params: JSONValue, _ launch: PlugInLaunch) {
        do {
            if try service.receive(method, params) { return }
            PlugInLog.write(method, params, launch, host.logger)
        } catch {
            host.logger.warning("The plug-in \(name) sent an invalid `\(method)`: \(launch.masked(error.message))")
        }
    }
}
