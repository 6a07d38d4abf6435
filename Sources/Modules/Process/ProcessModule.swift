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
        var peer: RPCPeer?
        /// The reason for which the program does not run.
        var problem = "has not started yet"
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
    package func run() async throws {
        let process = PlugInProcess(launch, keepsOrder: true, limits: limits, logger: host.logger) { method, params in
            if method == "commands" {
                try self.publish(params["commands"])
                return [:]
            }
            return try await self.service.answer(method, params)
        } receive: { method, params in
            if !self.service.receive(method, params) { PlugInLog.write(method, params, self.launch, self.host.logger) }
        }
        do {
            try await process.run(hello: hello) { result in
                try self.open(process.peer, result)
                self.host.commands.ready()
            }
        } catch {
            let reason = (error as? PlugInFailure)?.reason ?? "is stopping"
            state.withLock { state in
                state.peer = nil
                state.problem = reason
            }
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

    private func open(_ peer: RPCPeer, _ result: JSONValue) throws {
        state.withLock { state in
            state.peer = peer
            state.version = result["version"]?.string.map { String($0.prefix(40)) }
        }
        try publish(result["commands"])
    }

    private func publish(_ value: JSONValue?) throws(RPCError) {
        let declared = try CommandDeclaration.list(value, timeout: launch.timeout)
        host.commands.publish(
            declared.map { declaration in declaration.command { try await self.run(declaration, $0) } })
    }

    /// Runs a command.
    private func run(_ declaration: CommandDeclaration, _ invocation: Invocation) async throws -> Reply? {
        let values = invocation.parsed as? ArgumentGrammar.Values
        if let problem = values?.problem {
            throw Refusal("\(problem) Usage: \(invocation.typed("\(declaration.name) \(declaration.usage)"))")
        }
        let (peer, problem) = state.withLock { ($0.peer, $0.problem) }
        guard let peer else { throw Self.unavailable(name, problem) }
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
            throw Self.unavailable(name, reason)
        } catch let failure as RPCPeer.Failure {
            peer.notify("cancel", ["call": .string(call)])
            throw Refusal(Self.text(of: failure, name))
        } catch {
            peer.notify("cancel", ["call": .string(call)])
            throw error
        }
    }

    private static func unavailable(_ name: String, _ problem: String) -> Refusal {
        Refusal("The plug-in \(name) \(problem). It is restarted automatically; please try again later.")
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
        let (isRunning, problem, version) = state.withLock { ($0.peer != nil, $0.problem, $0.version) }
        let detail = version.map { "running, version \(Printable.line($0))" } ?? "running"
        return [
            StatusLine("plug-in \(name)", isHealthy: isRunning, isRunning ? detail : "the plug-in \(problem)")
        ] + (isRunning ? service.lines : [])
    }
}

extension ProcessModule: GaugeReporting {
    /// Returns the gauges that the program has reported, and whether it runs.
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let isRunning = state.withLock { $0.peer != nil }
        return [("petrel_plugin_running", [("plugin", name)], isRunning ? 1 : 0)] + (isRunning ? service.gauges : [])
    }
}
