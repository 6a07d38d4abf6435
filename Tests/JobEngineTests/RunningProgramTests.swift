import Foundation
import JobEngine
import PetrelSupport
import Testing

@Suite struct RunningProgramTests {
    private func run(
        _ program: Program, _ sink: RecordingSink = RecordingSink(),
        _ limits: RunningProgram.Limits = RunningProgram.Limits()
    ) async -> ProgramEnd {
        await RunningProgram(program, to: sink, limits: limits).run()
    }

    @Test func `A program runs with its arguments and without a shell`() async {
        let sink = RecordingSink()
        let program = Program("printf", ["[%s]", "a b", "$HOME", "*", ""], environment: ["PATH": "/usr/bin:/bin"])
        #expect(await run(program, sink).status == .exited(0))
        #expect(sink.text == "[a b][$HOME][*][]")
    }

    @Test func `A program gets the environment, the folder and an empty input`() async {
        let sink = RecordingSink()
        var program = Program.shell("env | sort; pwd; wc -c")
        program.environment["X"] = "a=b\nc"
        program.folder = "/"
        #expect(await run(program, sink).status == .exited(0))
        let lines = sink.text.split(separator: "\n").map(String.init)
        #expect(lines.contains("X=a=b") && lines.contains("c") && lines.contains("/") && lines.last == "0")
        #expect(!lines.contains { $0.hasPrefix("HOME=") })
    }

    @Test func `The end of a program is told`() async {
        #expect(await run(.shell("exit 3")).status == .exited(3))
        #expect(await run(.shell("kill -9 $$")).status == .signalled(9))
        for name in ["/nonexistent/program", "no-such-program-anywhere", "/etc/passwd", "/"] {
            let end = await run(Program(name, environment: ["PATH": "/usr/bin:/bin"]))
            guard case .notStarted(let reason) = end.status else {
                Issue.record("\(name) was started: \(end)")
                continue
            }
            #expect(!reason.isEmpty)
        }
    }

    @Test func `Both streams are read at once and in the order of their arrival`() async {
        let sink = RecordingSink()
        let program = Program.shell("echo a; echo b >&2; head -c 100000000 /dev/zero >&2; echo c")
        #expect(await run(program, sink).status == .exited(0))
        #expect(sink.output.counts == [.output: 4, .error: 100_000_002])
        // A reader that is slow at first finds both lines of standard output in one chunk.
        let chunks = sink.output.chunks.filter { $0.0 == .output }.map(\.1)
        #expect(
            sink.text.hasSuffix("c\n") || chunks.contains(Array("c\n".utf8)) || chunks.contains(Array("a\nc\n".utf8)))
    }

    @Test func `A line of five megabytes is read whole`() async {
        let sink = RecordingSink()
        let end = await run(.shell("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end"), sink)
        #expect(end.status == .exited(0))
        #expect(sink.output.counts[.output] == 5_000_005)
    }

    @Test(arguments: ["sleep 300", "yes", "yes >&2"])
    func `A process that is left behind and holds the output does not delay the end`(command: String) async {
        let sink = RecordingSink()
        let end = await run(.shell("\(command) & echo $! > /dev/stderr; exit 4"), sink)
        #expect(end.status == .exited(4) && end.cause == nil)
        let numbers = sink.output.chunks.filter { $0.0 == .error }.flatMap(\.1).filter { (0x30...0x39).contains($0) }
        if let process = Int32(String(decoding: numbers, as: UTF8.self)) { kill(process, 9) }
    }

    @Test(.timeLimit(.minutes(5)))
    func `SIGTERM goes to the whole group`() async {
        let sink = RecordingSink()
        let program = RunningProgram(
            .shell("(trap 'echo child; exit' TERM; echo up; sleep 300 & wait) & trap 'wait; exit' TERM; wait"), to: sink
        )
        async let end = program.run()
        await sink.wait(for: "up")
        program.stop(.cancelled)
        #expect(await end.cause == .cancelled)
        #expect(sink.text.contains("child"))
    }

    @Test(.timeLimit(.minutes(5)))
    func `SIGKILL ends the whole group when it ignores SIGTERM`() async {
        let sink = RecordingSink()
        var limits = RunningProgram.Limits()
        limits.grace = .milliseconds(100)
        let script =
            "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & while :; do sleep 1; done"
        let program = RunningProgram(.shell(script), to: sink, limits: limits)
        async let end = program.run()
        await sink.wait(for: "\n")
        program.stop(.cancelled)
        #expect(await end == ProgramEnd(.signalled(9), cause: .cancelled, duration: await end.duration))
        let child = Int32(sink.text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        #expect(child > 0)
        await gone(child)
    }

    /// Waits until a process no longer exists, or is a zombie that its new parent has not reaped yet.
    private func gone(_ process: Int32) async {
        while kill(process, 0) == 0 {
            let stat = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
            if stat.contains(") Z ") { return }
            await Task.yield()
        }
    }

    @Test func `A program whose time is over is stopped`() async {
        let end = await run(.shell("sleep 300", timeout: .milliseconds(50)))
        #expect(end.cause == .timedOut && end.status == .signalled(15))
    }

    @Test func `A program that was stopped before does not start`() async {
        let sink = RecordingSink()
        let program = RunningProgram(.shell("echo x"), to: sink)
        program.stop(.cancelled)
        #expect(await program.run().cause == .cancelled)
        #expect(sink.output.counts.isEmpty)
    }

    @Test func `Every child has been reaped when its run ends`() async {
        await withTaskGroup { group in
            for _ in 0..<20 {
                group.addTask {
                    let process = Locked<Int32>(0)
                    _ = await RunningProgram(.shell("exit 0"), to: RecordingSink()).run { id in
                        process.withLock { $0 = id ?? 0 }
                    }
                    // A zombie would still exist.
                    #expect(process.value > 0 && kill(process.value, 0) != 0)
                }
            }
        }
    }
}
