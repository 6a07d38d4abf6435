import JobEngine
import PetrelSupport
import Testing

#if os(Linux)
    /// Programs that have survived the process that started them.
    @Suite(.timeLimit(.minutes(5))) struct LeftoverProgramTests {
        /// Runs a program, and calls the body with its process identifier once it has printed `up`.
        private func with(
            _ script: String, job: Int = 7, _ limits: RunningProgram.Limits = RunningProgram.Limits(),
            _ body: (Int32) async throws -> Void
        ) async throws {
            var program = Program.shell(script)
            program.environment["PETREL_JOB_ID"] = "\(job)"
            let (sink, number) = (RecordingSink(), Locked<Int32>(0))
            let running = RunningProgram(program, to: sink, limits: limits)
            let task = Task { await running.run { process in number.withLock { $0 = process ?? 0 } } }
            await sink.wait(for: "up")
            try await body(number.value)
            running.stop(.cancelled(by: nil), grace: .zero)
            _ = await task.value
        }

        private func leftover(_ leader: Int32, _ identity: String?) -> LeftoverProgram {
            LeftoverProgram(leader: leader, identity: identity, variable: "PETREL_JOB_ID=7")
        }

        @Test(arguments: [
            "echo up; exec sleep 300", "(trap '' TERM; echo up; exec sleep 300) & wait",
            "(trap '' TERM; echo up; exec env -i /bin/sleep 300) & wait",
            "trap '' TERM; echo up; exec env -i /bin/sleep 300",
        ])
        func `All processes of the group are ended`(script: String) async throws {
            try await with(script) { leader in
                let program = leftover(leader, ProcessTable.identity(of: leader))
                #expect(program.finding == .running)
                #expect(await program.end(grace: .milliseconds(200)))
                #expect(program.finding == .gone)
            }
        }

        @Test(arguments: [(7, LeftoverProgram.Finding.running), (8, .unknown)])
        func `Without its leader, a group is recognised by the variable`(
            job: Int, finding: LeftoverProgram.Finding
        ) async throws {
            var limits = RunningProgram.Limits()
            limits.drain = .seconds(600)
            try await with("(trap '' TERM; echo up; exec sleep 300) & exit", job: job, limits) { leader in
                while ProcessTable.entry(leader)?.hasEnded == false { await Task.yield() }
                #expect(leftover(leader, nil).finding == finding)
                #expect(await leftover(leader, nil).end(grace: .milliseconds(50)))
                #expect(leftover(leader, nil).finding == .gone)
            }
        }

        @Test func `A process with the number of the program, but another identity, is another program`() async throws {
            try await with("echo up; exec sleep 300", job: 8) { leader in
                let identity = try #require(ProcessTable.identity(of: leader))
                #expect(leftover(leader, identity).finding == .running)
                #expect(leftover(leader, identity + "0").finding == .gone)
                #expect(leftover(leader, "another-boot 1").finding == .gone)
                #expect(leftover(leader, nil).finding == .unknown)
            }
            #expect(leftover(1, nil).finding == .gone)
        }
    }
#endif
