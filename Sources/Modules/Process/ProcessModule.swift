import Logging
package import PetrelKit
import PetrelSupport
package import PlugInProtocol

/// A module that is a program.
package final class ProcessModule: BotModule {
    /// The name of the section.
    package let name: String
    /// No commands: the program declares them when it has started.
    package let commands: [Command] = []
    /// True, so that the commands are known when the backends connect.
    package let preparesItself = true
    private let launch: PlugInLaunch
    private let limits: PlugInProcess.Limits
    private let host: ModuleHost
    private let service: ModuleRequests
    let calls = RunningCalls()
    private let state = Locked(State())

    private struct State: Sendable {
        var process: PlugInProcess?
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
    package init(
        _ launch: PlugInLaunch, _ host: ModuleHost, limits: PlugInProcess.Limits = PlugInProcess.Limits()
    ) {
        name = launch.name
        self.launch = launch
        self.limits = limits
        self.host = host
        service = ModuleRequests(host, calls)
    }

    /// Starts the program and serves it until it ends. Throws ``PlugInFailure``, after which the host restarts it.
    ///
    /// The commands of the latest run are known from the start, so that they are answered, and the backends do not
    /// wait, if the program starts slowly or not at all. A command that is called meanwhile waits for the program.
    package func run() async throws {
        let start = Signal()
        state.withLock { $0.start = start }
        await recall()
        let process = PlugInProcess(launch, keepsOrder: true, limits: limits, logger: host.logger) { method, params in
            if method == "commands" {
                try self.publish(params["commands"])
                return [:]
            }
            return try await self.service.answer(method, params)
        } receive: { method, params in
            self.receive(method, params)
        }
        do {
            try await process.run(hello: hello) { result in
                try self.open(process, result)
                start.open()
                self.host.commands.ready()
            }
        } catch {
            let reason = (error as? PlugInFailure)?.reason ?? "is stopping"
            state.withLock { state in
                state.process = nil
                state.start = nil
                state.problem = reason
                state.isFinal = (error as? PlugInFailure)?.isFinal == true
            }
            start.open()
            service.forget()
            host.commands.ready()
            guard let failure = error as? PlugInFailure, failure.isFinal else { throw error }
            host.logger.error("The plug-in \(name) \(failure.reason). It will not be restarted.")
            // The module remains, so that its commands and `!status` tell the reason.
            try await Task.sleep(for: .seconds(1_000_000_000))
        }
    }

    private var hello: [String: JSONValue] {
        [
            "protocol": 1, "petrel": .string(host.bot.version), "role": "module", "name": .string(name),
            "bot": .string(host.bot.name), "prefix": .string(host.bot.prefix), "settings": launch.settings,
        ]
    }

    private func open(_ process: PlugInProcess, _ result: JSONValue) throws {
        do {
            try publish(result["commands"])
        } catch {
            throw PlugInFailure("declares its commands incorrectly: \(launch.masked(error.message))")
        }
        let version = result["version"]?.string.map { Printable.line(String($0.unicodeScalars.prefix(40))) }
        state.withLock { state in
            state.process = process
            state.version = version
        }
        host.logger.info("The plug-in \(name) runs\(version.map { ", version \($0)" } ?? "").")
    }

    private func publish(_ value: JSONValue?) throws(RPCError) {
        let declared = try CommandDeclaration.list(value, timeout: launch.timeout)
        host.commands.publish(
            declared.map { declaration in declaration.command { try await self.run(declaration, $0) } })
        DeclarationRecord(host.storage).put(value)
    }

    /// Publishes the commands of the latest run.
    private func recall() async {
        guard state.withLock({ $0.isFirstRun }) else { return }
        state.withLock { $0.isFirstRun = false }
        do {
            guard let value = try await DeclarationRecord(host.storage).value() else { return }
            try publish(value)
            host.commands.ready()
        } catch {
            host.logger.warning("Cannot read the commands that the plug-in \(name) had before: \(error)")
        }
    }

    private func receive(_ method: String, _ params: JSONValue) {
        do {
            if try service.receive(method, params) { return }
            PlugInLog.write(method, params, launch, host.logger)
        } catch {
            host.logger.warning("The plug-in \(name) sent an invalid `\(method)`: \(launch.masked(error.message))")
        }
    }

    /// Runs a command.
    private func run(_ declaration: CommandDeclaration, _ invocation: Invocation) async throws -> Reply? {
        let values = invocation.parsed as? ArgumentGrammar.Values
        if let problem = values?.problem {
            let usage = declaration.usage.isEmpty ? declaration.name : "\(declaration.name) \(declaration.usage)"
            throw Refusal("\(problem) Usage: \(invocation.typed(usage))")
        }
        let process = try await started()
        let peer = process.peer
        let call = calls.begin(invocation)
        defer { calls.end(call) }
        do {
            let params = InvocationWire.json(invocation, call: call, values)
            let result = try await peer.call("invoke", params, within: declaration.timeout)
            return try result["reply"].flatMap { $0 == .null ? nil : try Wire.reply($0) }
        } catch let error as RPCError where error.code == RPCError.refusal {
            throw Refusal(error.message)
        } catch let error as RPCError {
            throw PlugInFailure("answered `\(declaration.name)` with an error: \(launch.masked(error.message))")
        } catch RPCPeer.Failure.unavailable(let reason) {
            throw Self.unavailable(name, reason, isFinal: false)
        } catch let failure as RPCPeer.Failure {
            if case .late = failure { process.suspect() }
            peer.notify("cancel", ["call": .string(call)])
            throw Refusal(Self.text(of: failure, name))
        } catch {
            peer.notify("cancel", ["call": .string(call)])
            throw error
        }
    }

    /// Returns the process. Waits for one that is being started: its commands may be known from an earlier run.
    private func started() async throws -> PlugInProcess {
        if let start = state.withLock({ $0.start }), !start.isOpen {
            await Signal.wait(for: start, atMost: limits.hello)
        }
        try Task.checkCancellation()
        let (process, problem, isFinal) = state.withLock { ($0.process, $0.problem, $0.isFinal) }
        guard let process else { throw Self.unavailable(name, problem, isFinal: isFinal) }
        return process
    }

    private static func unavailable(_ name: String, _ problem: String, isFinal: Bool) -> Refusal {
        let prospect =
            isFinal
            ? "It is not restarted; please tell an administrator."
            : "It is restarted automatically; please try again later."
        // A program refuses with a sentence.
        let end = problem.utf8.last == UInt8(ascii: ".") ? "" : "."
        return Refusal("The plug-in \(name) \(problem)\(end) \(prospect)")
    }

    private static func text(of failure: RPCPeer.Failure, _ name: String) -> String {
        switch failure {
        case .closed, .unavailable: "The plug-in \(name) ended before it answered. The command may have had an effect."
        case .late: "The plug-in \(name) \(failure.clause). The command may still have an effect."
        case .blocked: "The plug-in \(name) \(failure.clause). The command was not started."
        }
    }
}

extension ProcessModule: StatusReporting {
    /// Returns a line about the program, and the lines that it has reported.
    package func status() -> [StatusLine] {
        let (process, problem, version) = state.withLock { ($0.process, $0.problem, $0.version) }
        let subject = "plug-in \(name)"
        guard let process else { return [StatusLine(subject, isHealthy: false, "the plug-in \(problem)")] }
        guard process.isResponsive else {
            return [StatusLine(subject, isHealthy: false, "the plug-in does not answer")]
        }
        return [StatusLine(subject, isHealthy: true, version.map { "running, version \($0)" } ?? "running")]
            + service.lines
    }
}

extension ProcessModule: GaugeReporting {
    /// Returns the gauges that the program has reported, and whether it runs.
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let isRunning = state.withLock { $0.process != nil }
        return [("petrel_plugin_running", [("plugin", name)], isRunning ? 1 : 0)] + (isRunning ? service.gauges : [])
    }
}
