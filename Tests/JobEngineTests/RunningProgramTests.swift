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

    @Test func `Both streams are read at once, whatever their sizes`() async {
        let sink = RecordingSink()
        let program = Program.shell("echo a; echo b >&2; head -c 100000000 /dev/zero >&2; echo c")
        #expect(await run(program, sink).status == .exited(0))
        #expect(sink.output.counts == [.output: 4, .error: 100_000_002])
    }

    @Test func `What is in both pipes at once is taken from standard output first`() async {
        for _ in 0..<20 {
            let sink = RecordingSink()
            #expect(await run(.shell("echo out; echo err >&2; exit 3"), sink).status == .exited(3))
            #expect(sink.text == "out\nerr\n")
        }
    }

    @Test(.timeLimit(.minutes(20)))
    func `What is printed after something was read follows it, whatever the stream`() async throws {
        let sink = RecordingSink()
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let script =
            "for n in 1 2 3; do echo e$n >&2; while [ ! -e $n ]; do sleep 0.01; done; echo o$n; done; exec 2>&-; sleep 0.1; echo end"
        var program = Program.shell(script)
        program.folder = folder.path
        async let end = run(program, sink)
        for number in 1...3 {
            await sink.wait(for: "e\(number)\n")
            try Data().write(to: folder.appendingPathComponent("\(number)"))
        }
        #expect(await end.status == .exited(0))
        #expect(sink.text == "e1\no1\ne2\no2\ne3\no3\nend\n")
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

    @Test func `What a process that is left behind prints is recorded for a while`() async {
        let sink = RecordingSink()
        var limits = RunningProgram.Limits()
        limits.drain = .seconds(600)
        // The end of the process, which closes the output, ends the wait.
        let end = await run(.shell("(sleep 0.2; echo late) & echo early"), sink, limits)
        #expect(end.status == .exited(0) && !end.hasOpenOutput && sink.text == "early\nlate\n")
    }

    @Test(.timeLimit(.minutes(20)))
    func `What a process that is left behind prints later is not recorded, and the process ends`() async throws {
        let sink = RecordingSink()
        var limits = RunningProgram.Limits()
        limits.drain = .milliseconds(10)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let go = folder.appendingPathComponent("go")
        let script = "(while [ ! -e '\(go.path)' ]; do sleep 0.01; done; while echo late; do :; done) & echo $!"
        let end = await run(.shell(script), sink, limits)
        #expect(end.status == .exited(0) && end.hasOpenOutput)
        let process = Int32(sink.text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        #expect(process > 0)
        try Data().write(to: go)
        // It receives SIGPIPE.
        await gone(process)
        #expect(!sink.text.contains("late"))
    }

    @Test func `A program cannot use the terminal of its parent`() async throws {
        let sink = RecordingSink()
        let end = await run(.shell("ps -o sid=,pgid= -p $$; echo $$; : < /dev/tty"), sink)
        let numbers = sink.text.split { $0 == " " || $0 == "\n" }.prefix(3)
        #expect(Set(numbers).count == 1 && end.status != .exited(0), "\(sink.text)")
    }

    @Test func `The reason why a program does not start names the file`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("program").path
        func reason(_ content: String, mode: Int = 0o755) async throws -> String {
            try Data(content.utf8).write(to: URL(fileURLWithPath: path))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            guard case .notStarted(let reason) = await run(Program(path)).status else { return "started" }
            return reason
        }
        #expect(try await reason("#!/no/such/shell\n") == "\(path) begins with #!/no/such/shell, which does not exist")
        #expect(
            try await reason("#!/bin/sh\r\n")
                == "\(path) has the line ends of Windows, so that its #! line does not work")
        #expect(try await reason("echo x\n").hasPrefix("\(path) is neither a program of this machine nor a script"))
        #expect(try await reason("#!/bin/sh\n", mode: 0o644) == "\(path) is not executable")
        #expect(await run(Program(folder.path)).status == .notStarted("\(folder.path) is a folder"))
        let missing = Program("no-such-program", environment: ["PATH": "/usr/bin:/bin"])
        #expect(await run(missing).status == .notStarted("there is no program no-such-program in PATH"))
        var elsewhere = Program("true", environment: ["PATH": "/usr/bin:/bin"])
        elsewhere.folder = path + "/none"
        #expect(await run(elsewhere).status == .notStarted("the folder \(path)/none does not exist"))
        elsewhere.folder = path
        #expect(await run(elsewhere).status == .notStarted("\(path) is not a folder"))
        var long = Program("true", environment: ["PATH": "/usr/bin:/bin"])
        long.arguments = [String(repeating: "x", count: 200_000)]
        #expect(
            await run(long).status
                == .notStarted("its arguments, or its environment, are longer than the system allows"))
        let relative = Program("no-such-program", environment: ["PATH": "bin"])
        #expect(await run(relative).status == .notStarted("there is no program no-such-program in PATH"))
        #expect(ProgramFile.path(of: "true", in: "/usr/bin:/bin") == "/usr/bin/true")
        // It is found from the folder `/usr` only.
        #expect(ProgramFile.path(of: "true", in: "../../../../../../../../usr/bin") == nil)
    }

    @Test(.timeLimit(.minutes(20)))
    func `SIGTERM goes to the whole group`() async {
        let sink = RecordingSink()
        var limits = RunningProgram.Limits()
        limits.grace = .seconds(600)
        // A shell loses a signal that it receives between a fork and the start of a program, so that none is started.
        let script = "trap 'wait; exit' TERM; (trap 'echo child; exit' TERM; echo up; while :; do :; done) & wait"
        let program = RunningProgram(.shell(script), to: sink, limits: limits)
        async let end = program.run()
        await sink.wait(for: "up")
        program.stop(.cancelled(by: nil))
        #expect(await end.cause == .cancelled(by: nil))
        #expect(sink.text.contains("child"))
    }

    @Test(.timeLimit(.minutes(20)))
    func `SIGKILL ends the whole group when it ignores SIGTERM`() async {
        let sink = RecordingSink()
        var limits = RunningProgram.Limits()
        limits.grace = .milliseconds(100)
        let script =
            "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & while :; do sleep 1; done"
        let program = RunningProgram(.shell(script), to: sink, limits: limits)
        async let end = program.run()
        await sink.wait(for: "\n")
        program.stop(.cancelled(by: nil))
        #expect(await end == ProgramEnd(.signalled(9), cause: .cancelled(by: nil)))
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
        program.stop(.cancelled(by: nil))
        #expect(await program.run().cause == .cancelled(by: nil))
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
