import PetrelSupport
import ProcessControl
import Subprocess
import SystemPackage

/// One run of a program, in a session and a process group of its own.
package final class RunningProgram: Sendable {
    /// The limits of a run.
    package struct Limits: Sendable {
        /// The time between SIGTERM and SIGKILL.
        package var grace = Duration.seconds(5)
        /// The time for which output is still read after the program has ended, if another process holds it open.
        package var drain = Duration.seconds(1)

        package init() {}
    }

    private struct Stop: Sendable {
        var cause: StopCause?
        var grace: Duration
        /// True if the program ended by itself, so that it can no longer be stopped.
        var isOver = false
    }

    private let program: Program
    private let sink: any OutputSink
    private let limits: Limits
    private let stop: Locked<Stop>
    private let isStopping = Signal()
    private let hasEnded = Signal()
    private let isDrained = Signal()

    package init(_ program: Program, to sink: any OutputSink, limits: Limits = Limits()) {
        self.program = program
        self.sink = sink
        self.limits = limits
        stop = Locked(Stop(grace: limits.grace))
    }

    /// Stops the program: SIGTERM to its whole group, and SIGKILL after a while. Further calls, and calls after its end,
    /// have no effect, and return false.
    /// - Parameter grace: the time between the signals; nil for that of the limits.
    @discardableResult
    package func stop(_ cause: StopCause, grace: Duration? = nil) -> Bool {
        let isFirst = stop.withLock { stop in
            guard stop.cause == nil, !stop.isOver else { return false }
            stop.cause = cause
            stop.grace = grace ?? stop.grace
            return true
        }
        isStopping.open()
        return isFirst
    }

    /// Runs the program until it has ended and its output was read. Must not be cancelled; use ``stop(_:grace:)``.
    /// - Parameter started: a closure that is called with the process identifier.
    package func run(started: @escaping @Sendable (Int32?) -> Void) async -> ProgramEnd {
        // A program that was stopped before it started does not start.
        if let cause = stop.value.cause { return ProgramEnd(.signalled(15), cause: cause) }
        do {
            let status = try await execute(started)
            return ProgramEnd(status, cause: stop.value.cause, hasOpenOutput: !isDrained.isOpen)
        } catch {
            return ProgramEnd(.notStarted(program.reason(for: error)))
        }
    }

    private func execute(_ started: @escaping @Sendable (Int32?) -> Void) async throws -> ProgramEnd.Status {
        var options = PlatformOptions()
        // The program is the leader of a group as well, and cannot use the terminal of this process.
        options.createSession = true
        let variables = program.environment.map { Array("\($0.key)=\($0.value)".utf8) + [0] }
        let input = try ProgramInput(program.input)
        defer { input.close() }
        let pipes = try OutputPipes()
        let isPath = program.executable.utf8.contains(UInt8(ascii: "/"))
        let result = try await Subprocess.run(
            isPath ? .path(FilePath(program.executable)) : .name(program.executable),
            arguments: Arguments(program.arguments), environment: .custom(variables),
            workingDirectory: program.folder.map { FilePath($0) }, platformOptions: options,
            input: .fileDescriptor(input.descriptor, closeAfterSpawningProcess: false),
            output: .fileDescriptor(pipes.writeEnds.output, closeAfterSpawningProcess: false),
            error: .fileDescriptor(pipes.writeEnds.error, closeAfterSpawningProcess: false)
        ) { execution in
            pipes.closeWriteEnds()
            started(execution.processIdentifier.value)
            let group = ProcessGroup(execution.processIdentifier.value)
            #if os(Linux)
                let descriptor = execution.processIdentifier.processDescriptor
            #else
                let descriptor: Int32 = -1
            #endif
            await withTaskGroup { tasks in
                tasks.addTask { await group.watch(descriptor, opening: self.hasEnded) }
                tasks.addTask { if await pipes.read(to: self.sink) { self.isDrained.open() } }
                await self.attend(group)
                tasks.cancelAll()
            }
        }
        switch result.terminationStatus {
        case .exited(let code): return .exited(Int32(code))
        case .signaled(let signal): return .signalled(Int32(signal))
        }
    }

    /// Waits for the end of the program, or ends it.
    private func attend(_ group: ProcessGroup) async {
        await waitForEndOrStop()
        let stop = stop.withLock { stop in
            stop.isOver = hasEnded.isOpen
            return stop
        }
        if stop.cause != nil {
            group.terminate()
            await Signal.wait(for: [hasEnded, isDrained], atMost: stop.grace)
            // Also ends the processes that ignore SIGTERM, or that the program has left behind.
            group.kill()
            await hasEnded.wait()
        }
        await Signal.wait(for: isDrained, atMost: limits.drain)
    }

    private func waitForEndOrStop() async {
        let limit = program.timeout.map { TimeLimit($0) { self.stop(.timedOut) } }
        defer { limit?.cancel() }
        await withTaskGroup { tasks in
            tasks.addTask { await self.hasEnded.wait() }
            tasks.addTask { await self.isStopping.wait() }
            await tasks.next()
            tasks.cancelAll()
        }
    }
}
