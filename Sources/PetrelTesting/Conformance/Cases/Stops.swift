import PetrelKit
import PetrelSupport

extension BackendConformance {
    /// Cases about cancellation. They fail after ten seconds; the report states the measured times, which should be
    /// less than one.
    static let stops: [ConformanceCase] = [
        ConformanceCase("stop.before", "`run` ends if it is cancelled before it begins") { scene in
            let backend = scene.backend
            let start = ContinuousClock.now
            try await withDeadline(DirectRun.stopPatience, "the end of `run`") {
                await Task {
                    withUnsafeCurrentTask { $0?.cancel() }
                    // An error is as good as a return.
                    try? await backend.run { _ in }
                }.value
            }
            scene.measured("stop", .now - start)
        },
        ConformanceCase("stop.anywhere", "`run` ends whenever it is cancelled while it connects", needs: [.restarting])
        {
            scene in
            for pause in [0, 1, 2, 5, 10, 20, 50, 100, 200, 500] {
                let run = DirectRun(scene.backend)
                // Another point of the connection each time.
                try await Task.sleep(for: .milliseconds(pause))
                scene.measured("stop", try await run.stop())
            }
            try await scene.direct { run in
                try await scene.say("after")
                try scene.expect(try await run.next().text, is: "after", "the text that is delivered")
            }
        },
        ConformanceCase("stop.stalled", "`run` ends while the service does not answer", needs: [.stalling]) { scene in
            try await scene.stage.set(.stalled)
            for pause in [0, 10, 100, 500] {
                let run = DirectRun(scene.backend)
                try await Task.sleep(for: .milliseconds(pause))
                scene.measured("stop", try await run.stop())
            }
        },
        ConformanceCase("stop.idle", "`run` ends while nothing happens") { scene in
            try await scene.stops { _ in }
        },
        ConformanceCase("stop.cut", "`run` ends while the connection is cut", needs: [.cutting]) { scene in
            try await scene.stops { _ in try await scene.stage.set(.cut) }
        },
        ConformanceCase("stop.sending", "`run` ends during 50 sends, each of which ends as well") { scene in
            let backend = scene.backend
            try await withThrowingTaskGroup(of: Void.self) { group in
                try await scene.stops { _ in
                    for number in 0..<50 {
                        let address = scene.address(scene.places[number % scene.places.count])
                        group.addTask {
                            try await withDeadline(DirectRun.patience, "the end of `send`") {
                                _ = try? await backend.send(Reply("n\(number)"), to: address)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        },
        ConformanceCase("stop.flood", "`run` ends during a flood of messages") { scene in
            try await scene.stops { run in
                for number in 0..<300 { try await scene.say("m\(number)") }
                _ = try await run.next()
            }
        },
        ConformanceCase("stop.slow", "`run` ends after the host has taken the message that it was slow to take") {
            scene in
            let gate = Signal()
            try await scene.stops(gate: gate) { _ in
                for number in 0..<20 { try await scene.say("m\(number)") }
                gate.open()
            }
        },
        ConformanceCase("stop.hosted", "a host with pending commands ends") { scene in
            let clock = StepClock()
            defer { clock.stop() }
            let ending = Locked(ContinuousClock.now)
            try await scene.hosted { _ in
                for _ in 0..<50 { try await scene.say("!count") }
                _ = try await scene.shown()
                ending.withLock { $0 = .now }
                clock.start()
            }
            let time = ContinuousClock.now - ending.value
            scene.measured("stop", time)
            try scene.expect(clock.elapsed < DirectRun.stopPatience, "an end within ten seconds", got: "\(time)")
        },
        ConformanceCase("stop.send", "`send` ends if it is cancelled, and later ones succeed") { scene in
            try await scene.direct { _ in
                for pause in [0, 0, 1, 2, 5, 10] { try await scene.cancelsSend(after: .milliseconds(pause)) }
                try await scene.untilSent("the-end")
                _ = try await scene.shown(through: "the-end")
            }
        },
        ConformanceCase("stop.send-cut", "`send` ends if it is cancelled during a cut", needs: [.cutting]) { scene in
            try await scene.direct { _ in
                try await scene.stage.set(.cut)
                for pause in [0, 10, 100] { try await scene.cancelsSend(after: .milliseconds(pause)) }
                try await scene.stage.set(.open)
                try await scene.untilConnected()
                try await scene.untilSent("the-end")
                _ = try await scene.shown(through: "the-end")
            }
        },
    ]
}

extension ConformanceScene {
    /// Runs the backend, calls a closure, and cancels the backend.
    fileprivate func stops(gate: Signal? = nil, _ body: (DirectRun) async throws -> Void) async throws {
        let run = DirectRun(backend, gate: gate)
        try await untilConnected()
        try await body(run)
        measured("stop", try await run.stop())
    }

    /// Cancels a send after a pause, and waits for its end.
    fileprivate func cancelsSend(after pause: Duration) async throws {
        let (backend, address) = (backend, address())
        let task = Task { _ = try? await backend.send(Reply("cancelled"), to: address) }
        try await Task.sleep(for: pause)
        let start = ContinuousClock.now
        task.cancel()
        try await withDeadline(DirectRun.stopPatience, "the end of a cancelled `send`") { await task.value }
        measured("send", .now - start)
    }
}
