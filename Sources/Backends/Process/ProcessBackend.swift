package import Logging
package import PetrelKit
package import PetrelSupport
package import PlugInProtocol

/// A backend that is a program. One run of the backend is one run of the program.
package final class ProcessBackend: ChatBackend {
    /// The name of the section.
    package let name: String
    private let launch: PlugInLaunch
    private let limits: PlugInProcess.Limits
    private let version: String
    private let logger: Logger
    private let rehearsal: Rehearsal?
    private let state = Locked(State())
    private let storage = Locked<(any Storage)?>(nil)

    private struct State: Sendable {
        var peer: RPCPeer? { didSet { noteConnection() } }
        var traits = BackendTraits()
        var names = Names()
        var wantsCompletions = false
        /// The reason for which the service cannot be reached; nil while it can.
        var problem: String? = "has not started yet" { didSet { noteConnection() } }
        var detail = "running"
        /// Open while the program runs and is connected to its service.
        private(set) var connection = Signal()

        private mutating func noteConnection() {
            if peer != nil && problem == nil {
                connection.open()
            } else if connection.isOpen {
                connection = Signal()
            }
        }
    }

    /// Receives the notifications `test.…` of a program that stands in for its service; see docs/PluginProtocol.md.
    package typealias Rehearsal = @Sendable (_ method: String, _ params: JSONValue) -> Void

    /// Creates a backend.
    /// - Parameter rehearsal: A closure for a test of the program; nil for its use.
    package init(
        _ launch: PlugInLaunch, version: String, limits: PlugInProcess.Limits = PlugInProcess.Limits(), logger: Logger,
        rehearsal: Rehearsal? = nil
    ) {
        self.rehearsal = rehearsal
        name = launch.name
        self.launch = launch
        self.version = version
        self.limits = limits
        self.logger = logger
    }

    /// The traits that the program has declared in its latest run.
    package var traits: BackendTraits { state.withLock { $0.traits } }

    /// Starts the program and passes messages to `deliver` until it ends. Throws ``BackendFailure``.
    package func run(deliver: @escaping @Sendable (ChatMessage) async -> Void) async throws {
        let seen = await SeenMessages(storage.value, logger)
        let process = Locked<PlugInProcess?>(nil)
        let plugIn = PlugInProcess(
            launch, keepsOrder: false, limits: limits, logger: logger
        ) { method, params in
            guard method == "deliver" else { throw RPCError(-32601, "the method \(method.prefix(40)) does not exist") }
            let message = try MessageWire.message(params)
            if await seen.isNew(message.id) { await deliver(message) } else { self.complete(message.id) }
            return [:]
        } receive: { method, params in
            self.receive(method, params, from: process.value)
        }
        process.withLock { $0 = plugIn }
        defer {
            state.withLock { state in
                state.peer = nil
                state.problem = state.problem ?? "is not running"
            }
        }
        do {
            try await plugIn.run(hello: hello) { try self.open(plugIn.peer, $0) }
        } catch let failure as PlugInFailure {
            throw BackendFailure("\(failure)", isFinal: failure.isFinal)
        }
    }

    private var hello: [String: JSONValue] {
        var hello: [String: JSONValue] = [
            "protocol": 1, "petrel": .string(version), "role": "backend", "name": .string(name),
            "settings": launch.settings,
        ]
        if rehearsal != nil { hello["test"] = true }
        return hello
    }

    private func open(_ peer: RPCPeer, _ result: JSONValue) throws {
        let hello = try Members(result, "result")
        let traits = try Wire.traits(hello["traits"])
        let names = try Names(hello["names"])
        let wantsCompletions = try hello.bool("completion")
        state.withLock { state in
            state.peer = peer
            state.traits = traits
            state.names = names
            state.wantsCompletions = wantsCompletions
            state.problem = nil
            state.detail = "running"
        }
    }

    private func receive(_ method: String, _ params: JSONValue, from process: PlugInProcess?) {
        let text = { (key: String) in params[key]?.string.map { Printable.line(self.launch.masked($0)) } }
        switch method {
        case "connected":
            state.withLock { state in
                state.problem = nil
                state.detail = text("detail").map { "connected: \($0.prefix(200))" } ?? "connected"
            }
        case "disconnected":
            let reason = text("reason").map { String($0.prefix(200)) } ?? "without a reason"
            state.withLock { $0.problem = "is disconnected: \(reason)" }
            guard params["final"] == true else {
                return logger.warning("The plug-in \(name) lost its connection: \(reason)")
            }
            process?.end(PlugInFailure("gave up: \(reason)", isFinal: true))
        case let method where method.utf8.starts(with: "test.".utf8): rehearsal?(method, params)
        default: PlugInLog.write(method, params, launch, logger)
        }
    }

    /// Waits until the program runs and is connected to its service, or the task is cancelled.
    package func untilConnected() async { await state.withLock { $0.connection }.wait() }

    /// Sends a request of a test, also while the service is disconnected. Throws ``SendFailure``.
    package func rehearse(_ method: String, _ params: JSONValue) async throws -> JSONValue {
        guard let peer = state.withLock({ $0.peer }) else {
            throw SendFailure("the plug-in \(name) is not running", .later(after: nil))
        }
        return try await peer.call(method, params, within: launch.timeout)
    }

    /// Tells the program that a message was processed.
    private func complete(_ message: String) {
        let peer = state.withLock { $0.wantsCompletions ? $0.peer : nil }
        peer?.notify("completed", ["message": .string(message)])
    }
}

extension ProcessBackend {
    /// Passes a reply to the program. Throws ``SendFailure``.
    package func send(_ reply: Reply, to address: Address) async throws -> MessageReference? {
        let result = try await call("send", ["to": Wire.json(address), "reply": Wire.json(reply)])
        return result["message"]?.string.map { MessageReference(id: $0) }
    }

    private func call(_ method: String, _ params: JSONValue) async throws -> JSONValue {
        let (peer, problem) = state.withLock { ($0.peer, $0.problem) }
        guard let peer, problem == nil else {
            throw SendFailure("the plug-in \(name) \(problem ?? "is not running")", .later(after: nil))
        }
        do {
            return try await peer.call(method, params, within: launch.timeout)
        } catch let error as RPCError {
            throw SendFailure(Printable.line(launch.masked(error.message)), Self.remedy(of: error))
        } catch let failure as RPCPeer.Failure {
            throw SendFailure("the plug-in \(name) \(failure.clause)", .later(after: nil))
        }
    }

    private static func remedy(of error: RPCError) -> SendFailure.Remedy {
        guard error.code == RPCError.notSent else {
            return error.code == RPCError.refusal ? .never : .later(after: nil)
        }
        guard error.data?["remedy"] != "never" else { return .never }
        let seconds: Double? =
            switch error.data?["after"] {
            case .integer(let number)?: Double(number)
            case .number(let number)?: number
            default: nil
            }
        return .later(after: seconds.map { .seconds(min(max($0, 0), 3_600)) })
    }
}

extension ProcessBackend: Editing {
    /// Replaces a message. Throws ``SendFailure``.
    package func replace(_ message: MessageReference, at address: Address, with reply: Reply) async throws {
        // The traits are known once the program has started; until then the call fails for that reason.
        let (peer, traits) = state.withLock { ($0.peer, $0.traits) }
        guard peer == nil || traits.edits else { throw SendFailure("the plug-in \(name) cannot edit messages", .never) }
        _ = try await call(
            "edit", ["message": .string(message.id), "to": Wire.json(address), "reply": Wire.json(reply)])
    }
}

extension ProcessBackend: FileSending {
    /// Sends a text as a file. Throws ``SendFailure``.
    package func send(file: String, _ reply: Reply, to address: Address) async throws -> MessageReference? {
        let result = try await call(
            "send_file", ["name": .string(file), "to": Wire.json(address), "reply": Wire.json(reply)])
        return result["message"]?.string.map { MessageReference(id: $0) }
    }
}

extension ProcessBackend: CompletionObserving {
    /// Tells the program that a message was processed, if it wants to know.
    package func completed(_ messageID: String) { complete(messageID) }
    /// Does nothing.
    package func promised(_ request: String) {}
    /// Does nothing.
    package func settled(_ request: String) {}
}

extension ProcessBackend: PlaceNaming {
    /// Classifies a name by the prefixes that the program has declared.
    package func claim(_ name: String) -> PlaceClaim { state.withLock { $0.names }.claim(name) }
}

extension ProcessBackend: RecordKeeping {
    /// Sets the storage for the ids of received messages.
    package func keep(in storage: any Storage) { self.storage.withLock { $0 = storage } }
}

extension ProcessBackend: StatusReporting {
    /// Returns one line about the connection of the program to its service.
    package func status() -> [StatusLine] {
        let (problem, detail) = state.withLock { ($0.problem, $0.detail) }
        return [StatusLine("\(name) service", isHealthy: problem == nil, problem.map { "the plug-in \($0)" } ?? detail)]
    }
}
