import PetrelKit
package import PetrelSupport
import PlugInProtocol

extension ProcessModule {
    /// Runs a command.
    func run(_ declaration: CommandDeclaration, _ invocation: Invocation) async throws -> Reply? {
        let values = invocation.parsed as? ArgumentGrammar.Values
        if let problem = values?.problem {
            let usage = declaration.usage.isEmpty ? declaration.name : "\(declaration.name) \(declaration.usage)"
            throw Refusal("\(problem) Usage: \(invocation.typed(usage))")
        }
        let call = calls.begin(invocation)
        defer { calls.end(call) }
        let params = InvocationWire.json(invocation, call: call, values)
        return try await invoke(declaration.name, params, call: call, within: declaration.timeout) { result in
            try result["reply"].flatMap { $0 == .null ? nil : try Wire.reply($0) }
        }
    }

    /// Calls a command of the program, and returns the result as it was read. Throws a ``Refusal`` with a sentence for
    /// the user, or a ``PlugInFailure``.
    /// - Parameters:
    ///   - params: The parameters of `invoke`.
    ///   - call: The identifier of the call.
    ///   - read: A closure that reads the result. It may throw an ``RPCError``.
    package func invoke<Value>(
        _ command: String, _ params: JSONValue, call: String, within limit: Duration,
        _ read: (JSONValue) throws -> Value
    ) async throws -> Value {
        let run = try await begin(call)
        defer { end(call, run) }
        let peer = run.process.peer
        do {
            return try read(try await peer.call("invoke", params, within: limit))
        } catch let error as RPCError where error.code == RPCError.refusal {
            throw Refusal(error.message)
        } catch let error as RPCError {
            let launch = state.withLock { $0.launch }
            throw PlugInFailure(
                "answered `\(command)` with an error: \(launch?.masked(error.message) ?? error.message)")
        } catch RPCPeer.Failure.unavailable(let reason) {
            throw Self.unavailable(name, reason, isFinal: false)
        } catch let failure as RPCPeer.Failure {
            if case .late = failure { run.process.suspect() }
            peer.notify("cancel", ["call": .string(call)])
            throw Refusal(Self.text(of: failure, name))
        } catch {
            peer.notify("cancel", ["call": .string(call)])
            throw error
        }
    }

    /// Asks the program to end a call. Returns false if no program has the call.
    package func cancel(_ call: String) -> Bool {
        guard let run = state.withLock({ $0.runs[call] }) else { return false }
        run.process.peer.notify("cancel", ["call": .string(call)])
        return true
    }

    /// Restarts the program that does not end a call although it was asked to.
    package func giveUp(_ call: String) {
        state.withLock { $0.runs[call] }?.process.end(PlugInFailure("did not end a call that was stopped"))
    }

    private func begin(_ call: String) async throws -> ProgramRun {
        while true {
            let run = try await started()
            // A program that was replaced in this moment takes no call.
            guard run.begin() else { continue }
            state.withLock { $0.runs[call] = run }
            return run
        }
    }

    private func end(_ call: String, _ run: ProgramRun) {
        state.withLock { $0.runs[call] = nil }
        run.end()
    }

    /// Returns the run of the program. Waits for one that is being started: its commands may be known from an earlier
    /// run.
    private func started() async throws -> ProgramRun {
        if let start = state.withLock({ $0.start }), !start.isOpen {
            await Signal.wait(for: start, atMost: limits.hello)
        }
        try Task.checkCancellation()
        let (run, problem, isFinal) = state.withLock { ($0.current, $0.problem, $0.isFinal) }
        guard let run else { throw Self.unavailable(name, problem, isFinal: isFinal) }
        return run
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
