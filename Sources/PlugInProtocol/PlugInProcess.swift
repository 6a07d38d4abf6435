import Foundation
package import Logging
package import PetrelSupport
import ProcessControl
import Subprocess
import SystemPackage

/// One run of a plug-in: its process, and the connection to it.
///
/// Reading, parsing and writing happen on Swift's default executor, so that a plug-in that floods its output delays
/// neither the chat nor other plug-ins.
package final class PlugInProcess: Sendable {
    /// A closure that answers a request of the plug-in. A thrown ``RPCError`` is the error of the response.
    package typealias Answer = @Sendable (_ method: String, _ params: JSONValue) async throws -> JSONValue
    /// A closure that receives a notification.
    package typealias Receive = @Sendable (_ method: String, _ params: JSONValue) -> Void

    /// The limits of a plug-in; see docs/PluginProtocol.md.
    package struct Limits: Sendable {
        package var line = 1 << 20
        package var faults = 100
        package var requests = 100
        package var bytesPerSecond = 4.0 * 1_048_576
        package var bytesAtOnce = 16.0 * 1_048_576
        package var logLinesPerSecond = 100.0
        package var hello = Duration.seconds(10)
        package var pingInterval = Duration.seconds(30)
        package var ping = Duration.seconds(10)
        /// The time for an answer to `shutdown`, and for the end of the process after it.
        package var shutdown = Duration.seconds(1)
        /// The time between SIGTERM and SIGKILL.
        package var kill = Duration.seconds(2)

        package init() {}
    }

    /// The connection.
    package let peer = RPCPeer()
    private let launch: PlugInLaunch
    private let limits: Limits
    private let logger: Logger
    private let queue: RequestQueue
    private let gate: LogGate
    private let receive: Receive
    private let failure = Locked<PlugInFailure?>(nil)
    /// Opens when the plug-in has not answered a call in time.
    private let suspicion = Locked(Signal())
    /// The first line that was not a valid message, and the reason; nil if all lines were valid.
    package var fault: String? { firstFault.value }
    private let firstFault = Locked<String?>(nil)
    /// True if the process did not end in time without a signal.
    package var neededSignal: Bool { wasSignaled.value }
    private let wasSignaled = Locked(false)
    /// True if the task of the run was cancelled.
    private let isStopping = Locked(false)
    /// Opens when the conversation has to end.
    private let isOver = Signal()

    /// - Parameters:
    ///   - keepsOrder: True if responses of the plug-in wait until its earlier requests were answered.
    ///   - answer: A closure that answers the requests of the plug-in, one after the other.
    ///   - receive: A closure that receives its notifications.
    package init(
        _ launch: PlugInLaunch, keepsOrder: Bool, limits: Limits = Limits(), logger: Logger,
        answer: @escaping Answer, receive: @escaping Receive
    ) {
        self.launch = launch
        self.limits = limits
        self.logger = logger
        self.receive = receive
        gate = LogGate(launch.name, perSecond: limits.logLinesPerSecond, logger)
        queue = RequestQueue(peer, limit: limits.requests, keepsOrder: keepsOrder, answer: answer)
    }

    /// Starts the program, exchanges `hello`, and keeps the connection until the process ends or the task is cancelled.
    ///
    /// Throws ``PlugInFailure``; after cancellation `CancellationError`, once the process has ended.
    /// - Parameters:
    ///   - hello: The parameters of `hello`.
    ///   - ready: A closure that receives the result of `hello`. A thrown ``PlugInFailure`` ends the run.
    package func run(
        hello: [String: JSONValue], ready: @escaping @Sendable (JSONValue) async throws -> Void
    ) async throws {
        // In a task of its own: cancellation must not kill the process before it was asked to end.
        let life = Task { try await self.live(hello, ready) }
        try await withTaskCancellationHandler {
            try await life.value
        } onCancel: {
            isStopping.withLock { $0 = true }
            isOver.open()
        }
        try Task.checkCancellation()
        throw failure.value ?? PlugInFailure("ended")
    }

    /// Records a reason to end the run, unless one is known, and ends it.
    package func end(_ failure: PlugInFailure) {
        self.failure.withLock { $0 = $0 ?? failure }
        isOver.open()
    }

    private func live(_ hello: [String: JSONValue], _ ready: @escaping @Sendable (JSONValue) async throws -> Void)
        async throws
    {
        _ = Self.ignoresBrokenPipes
        let program = launch.command.first ?? ""
        var options = PlatformOptions()
        options.processGroupID = 0
        var environment = launch.environment
        environment["PATH"] = environment["PATH"] ?? ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let variables = environment.map { Array("\($0.key)=\($0.value)".utf8) + [0] }
        do {
            let result = try await Subprocess.run(
                program.utf8.contains(UInt8(ascii: "/")) ? .path(FilePath(program)) : .name(program),
                arguments: Arguments(Array(launch.command.dropFirst())), environment: .custom(variables),
                workingDirectory: FilePath(launch.folder), platformOptions: options, input: .inputWriter,
                output: .sequence, error: .sequence
            ) { execution in
                await withTaskGroup { group in
                    group.addTask { await self.read(execution.standardOutput) }
                    group.addTask { await self.log(execution.standardError) }
                    group.addTask { await self.write(execution.standardInputWriter) }
                    group.addTask { await self.queue.run() }
                    group.addTask { await self.tick() }
                    await self.converse(hello, ready, ProcessGroup(execution.processIdentifier.value))
                    group.cancelAll()
                }
            }
            failure.withLock { $0 = $0 ?? PlugInFailure(Self.text(result.terminationStatus)) }
        } catch let error as SubprocessError {
            peer.close("could not be started")
            let reason = "\(error)".trimmingCharacters(in: CharacterSet(charactersIn: ". "))
            throw PlugInFailure("could not be started: \(reason)")
        }
    }

    /// A write to a program that has ended must fail, and not end this process. Programs start with the default action.
    private static let ignoresBrokenPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    private static func text(_ status: TerminationStatus) -> String {
        switch status {
        case .exited(let code): "ended with status \(code)"
        case .signaled(let signal): "was ended by signal \(signal)"
        }
    }

    /// Exchanges `hello`, checks that the plug-in answers, and ends the process when the run is over.
    private func converse(
        _ hello: [String: JSONValue], _ ready: @escaping @Sendable (JSONValue) async throws -> Void,
        _ process: ProcessGroup
    ) async {
        await withTaskGroup { group in
            group.addTask { await self.greet(hello, ready) }
            await isOver.wait()
            group.cancelAll()
        }
        // A plug-in that does not answer is ended by a signal.
        if isStopping.value { _ = try? await peer.call("shutdown", [:], within: limits.shutdown) }
        let failure = failure.value
        peer.close(failure?.reason ?? (isStopping.value ? "is stopping" : "has ended"))
        queue.close()
        let endedAlone = await process.end(
            patience: failure == nil ? limits.shutdown : .zero, beforeKill: limits.kill)
        wasSignaled.withLock { $0 = !endedAlone }
    }

    private func greet(_ hello: [String: JSONValue], _ ready: @Sendable (JSONValue) async throws -> Void) async {
        do {
            let result = try await peer.call("hello", .object(hello), within: limits.hello)
            guard result["protocol"] == 1 else {
                return end(PlugInFailure("does not speak protocol version 1", isFinal: true))
            }
            try await ready(result)
            queue.start()
            try await watch()
        } catch let error as RPCError where error.code == RPCError.refusal {
            end(PlugInFailure("refuses to start: \(launch.masked(error.message))", isFinal: true))
        } catch let error as RPCError {
            end(PlugInFailure("answered with an error: \(launch.masked(error.message))"))
        } catch let error as PlugInFailure {
            end(error)
        } catch RPCPeer.Failure.late(let limit) {
            end(PlugInFailure("did not answer within \(limit.inWords)"))
        } catch RPCPeer.Failure.blocked {
            end(PlugInFailure("does not read its input"))
        } catch {
            // The run is over, or the process has ended; its status is the reason.
            isOver.open()
        }
    }

    /// Pings the plug-in at an interval, and at once when it has not answered a call in time.
    private func watch() async throws {
        while true {
            let suspicion = Signal()
            self.suspicion.withLock { $0 = suspicion }
            await Signal.wait(for: suspicion, atMost: limits.pingInterval)
            try Task.checkCancellation()
            _ = try await peer.call("ping", [:], within: limits.ping)
        }
    }

    /// Notes that the plug-in has not answered a call in time.
    package func suspect() { suspicion.value.open() }

    /// False from a call that was not answered in time until the plug-in answers a ping.
    package var isResponsive: Bool { !suspicion.value.isOpen }

    /// Fails overdue calls.
    private func tick() async {
        // Sleeping fails only if the run is over.
        while (try? await Task.sleep(for: .milliseconds(200))) != nil { peer.expire() }
    }

    private func write(_ writer: StandardInputWriter) async {
        do {
            while let bytes = await peer.taken() { _ = try await writer.write(bytes) }
            try await writer.finish()
        } catch {
            logger.debug("The plug-in \(launch.name) does not read its input: \(error)")
        }
    }
}

extension PlugInProcess {
    private func read(_ output: SubprocessOutputSequence) async {
        var lines = LineSplitter(limit: limits.line)
        var throttle = Throttle(burst: limits.bytesAtOnce, perSecond: limits.bytesPerSecond)
        var inRow = 0
        do {
            for try await buffer in output {
                let pause = throttle.take(Double(buffer.count), at: .now)
                if pause > .zero { await pauseReading(for: pause) }
                for line in lines.feed(buffer.withUnsafeBytes { Array($0) }) {
                    if isOver.isOpen && failure.value != nil { break }
                    inRow = take(line) ? 0 : inRow + 1
                    if inRow >= limits.faults { end(PlugInFailure("wrote \(inRow) invalid messages in a row")) }
                }
            }
        } catch {
            logger.debug("Cannot read from the plug-in \(launch.name): \(error)")
        }
        if lines.hasRest { logger.notice("The plug-in \(launch.name) ended within a message.") }
        isOver.open()
    }

    private func pauseReading(for pause: Duration) async {
        await Signal.wait(for: isOver, atMost: pause)
    }

    /// Handles a line. Returns false if it is not a valid message.
    private func take(_ line: LineSplitter.Line) -> Bool {
        guard case .line(let bytes) = line else {
            end(PlugInFailure("wrote a line of more than \(limits.line) bytes"))
            return false
        }
        switch peer.receive(bytes) {
        case .request(let id, let method, let params): queue.add(id, method, params)
        case .notification(let method, let params):
            if method != "log" || gate.opens() { receive(method, params) }
        case .response(let number, let result): queue.settle(number, result)
        case .fault(let reason):
            let excerpt = Printable.line(launch.masked(String(decoding: bytes.prefix(200), as: UTF8.self)))
            firstFault.withLock { $0 = $0 ?? "“\(excerpt)”: \(reason)" }
            logger.debug("The plug-in \(launch.name) wrote an invalid message: \(reason)")
            return false
        }
        return true
    }

    /// Logs what the plug-in writes to standard error.
    private func log(_ output: SubprocessOutputSequence) async {
        var lines = LineSplitter(limit: 8_192)
        do {
            for try await buffer in output {
                for line in lines.feed(buffer.withUnsafeBytes { Array($0) }) where gate.opens() {
                    switch line {
                    case .line(let bytes):
                        let text = Printable.line(launch.masked(String(decoding: bytes, as: UTF8.self)))
                        logger.info("\(launch.name): \(text)")
                    case .tooLong: logger.info("\(launch.name): (a line of more than 8,192 bytes)")
                    }
                }
            }
        } catch {
            logger.debug("Cannot read the standard error of the plug-in \(launch.name): \(error)")
        }
        gate.report()
    }
}
