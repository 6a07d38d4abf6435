import FaultSuite
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Every announcement is posted once, despite interruptions of the stream and restarts.
@Suite(.timeLimit(.minutes(30))) struct ResultTests {
    private static func announce(_ text: String, _ bench: Bench) async {
        await bench.stackStorm.publish(payload: ["channel": "#ops", "message": .string(text)], route: "errbot")
    }

    /// Waits until the module has read StackStorm's history a number of times.
    private static func untilLooked(_ bench: Bench, times: Int) async {
        await bench.stackStorm.untilRequested("GET /api/v1/executions", times: times)
    }

    private static func texts(_ count: Int, _ bench: Bench) async -> [String] {
        var texts: [String] = []
        for _ in 0..<count { texts.append(await bench.text()) }
        return texts
    }

    @Test func `announcements during an interruption of the stream are posted afterwards, in order and once`()
        async throws
    {
        try await Bench.run { bench in
            await Self.untilLooked(bench, times: 1)
            await Self.announce("before", bench)
            #expect(await bench.text() == "before")
            await bench.stackStorm.setFault(.status(500), for: .stream)
            await bench.stackStorm.cutStreams()
            for number in 0..<250 { await Self.announce("gap \(number)", bench) }
            await bench.stackStorm.setFault(nil, for: .stream)
            #expect(await Self.texts(250, bench) == (0..<250).map { "gap \($0)" })
            await Self.announce("after", bench)
            #expect(await bench.text() == "after")
        }
    }

    @Test func `reconnections, replays and announcements are counted`() async throws {
        let metrics = PrometheusMetrics()
        try await Bench.run(Bench.Options(metrics: metrics)) { bench in
            await Self.untilLooked(bench, times: 1)
            await bench.untilFollowing()
            let counters = ["petrel_stream_reconnects_total", "petrel_results_replayed_total"]
            for name in counters {
                #expect(metrics.render().contains("# TYPE \(name) counter\n\(name){instance=\"st2\"} 0\n"))
            }
            let heard = await bench.stackStorm.request(count: "GET /api/v1/user")
            await bench.stackStorm.setFault(.status(500), for: .stream)
            await bench.stackStorm.cutStreams()
            await Self.announce("gap", bench)
            await bench.stackStorm.setFault(nil, for: .stream)
            #expect(await bench.text() == "gap")
            await bench.stackStorm.untilRequested("GET /api/v1/user", times: heard + 1)
            await bench.stackStorm.publish("st2.announcement__errbot", ["payload": ["channel": "#ops"]])
            await Self.announce("end", bench)
            #expect(await bench.text() == "end")
            let text = metrics.render()
            for name in counters { #expect(text.contains("\(name){instance=\"st2\"} 1\n"), "\(text)") }
            #expect(text.contains("petrel_announcements_total{outcome=\"invalid\"} 1\n"), "\(text)")
            #expect(text.contains("petrel_announcements_total{outcome=\"posted\"}"), "\(text)")
        }
    }

    @Test func `an announcement with the same text is posted as often as it was made`() async throws {
        try await Bench.run { bench in
            await Self.untilLooked(bench, times: 1)
            for _ in 0..<3 { await Self.announce("done", bench) }
            #expect(await Self.texts(3, bench) == ["done", "done", "done"])
            await bench.stackStorm.setFault(.status(500), for: .stream)
            await bench.stackStorm.cutStreams()
            for _ in 0..<2 { await Self.announce("done", bench) }
            await bench.stackStorm.setFault(nil, for: .stream)
            #expect(await Self.texts(2, bench) == ["done", "done"])
            await Self.announce("end", bench)
            #expect(await bench.text() == "end")
        }
    }

    /// The clocks of StackStorm's hosts may differ by hours, and may be set during operation.
    @Test(arguments: [[-7_200, -3_600], [7_200, 10_800], [0, 3_600]])
    func `missed announcements are posted for any difference of clocks`(errors: [Int]) async throws {
        var options = Bench.Options()
        options.prepare = { await $0.setClock(error: .seconds(errors[0])) }
        try await Bench.run(options) { bench in
            await Self.untilLooked(bench, times: 1)
            for error in errors {
                await bench.stackStorm.setClock(error: .seconds(error))
                await Self.announce("heard", bench)
                #expect(await bench.text() == "heard")
                await bench.stackStorm.setFault(.status(500), for: .stream)
                await bench.stackStorm.cutStreams()
                for number in 0..<3 { await Self.announce("missed \(number)", bench) }
                await bench.stackStorm.setFault(nil, for: .stream)
                for number in 0..<3 {
                    // It may be marked as late because the clocks differ.
                    #expect(await bench.text().hasSuffix("missed \(number)"))
                }
            }
            await Self.announce("end", bench)
            #expect(await bench.text() == "end")
        }
    }

    @Test func `no announcement is lost or repeated if StackStorm's clock is set back`() async throws {
        let store = try TestStore()
        let past = StackStormTime(.now) - .seconds(3_600)
        try await store.storage(for: "st2").records("replay").set(
            JSONValue.encode(ReplayCursor(time: past, floor: past)), for: "cursor")
        let watch = LogWatch()
        let options = Bench.Options(store: store, logger: watch.logger)
        try await Bench.run(options) { bench in
            await Self.untilLooked(bench, times: 1)
            for number in 0..<3 { await Self.announce("old \(number)", bench) }
            #expect(await Self.texts(3, bench) == (0..<3).map { "old \($0)" })
            for error in [-400, -400, -800] {
                await bench.stackStorm.setFault(.status(500), for: .stream)
                await bench.stackStorm.cutStreams()
                await bench.stackStorm.setClock(error: .seconds(error), ofWeb: true)
                for number in 0..<3 { await Self.announce("missed \(number)", bench) }
                await bench.stackStorm.setFault(nil, for: .stream)
                #expect(await Self.texts(3, bench) == (0..<3).map { "missed \($0)" })
                await Self.announce("heard", bench)
                #expect(await bench.text() == "heard")
            }
            await bench.stackStorm.setClock(error: .seconds(-9_030), ofWeb: true)
            await bench.stackStorm.cutStreams()
            await watch.saw("StackStorm's clock was set back by 2 h 17 min. Until it shows")
            await Self.announce("end", bench)
            #expect(await bench.text() == "end")
        }
    }

    @Test func `an empty store begins at the present, and a restart continues where the last run ended`() async throws {
        let store = try TestStore()
        try await Bench.withSimulator { stackStorm, port in
            for text in ["ancient", "old"] {
                await stackStorm.publish(payload: ["channel": "#ops", "message": .string(text)], route: "errbot")
            }
            for run in 0..<3 {
                let backend = RecordingBackend()
                let looked = await stackStorm.request(count: "GET /api/v1/executions")
                try await TestHost([backend], store: store).run({
                    [try $0.module(StackStormModuleSettings(client: try Bench.client(port: port)))]
                }) {
                    await stackStorm.untilHeard()
                    if run > 0 {
                        let missed = await backend.next()?.reply.text
                        #expect(missed == "missed \(run - 1)")
                    }
                    await stackStorm.untilRequested("GET /api/v1/executions", times: looked + 1)
                    await stackStorm.publish(
                        payload: ["channel": "#ops", "message": .string("heard \(run)")], route: "errbot")
                    let heard = await backend.next()?.reply.text
                    #expect(heard == "heard \(run)")
                    // An announcement that is not in the ledger yet would be posted again by the next run, as after a
                    // crash.
                    repeat {
                        _ = await store.store.written()
                    } while try await !store.store.outbox.pending(in: nil, after: 0, through: .max, limit: 1).isEmpty
                }
                await stackStorm.cutStreams()
                await stackStorm.publish(
                    payload: ["channel": "#ops", "message": .string("missed \(run)")], route: "errbot")
            }
        }
    }

    @Test func `announcements older than the replay window are not posted, and administrators are told`() async throws {
        let store = try TestStore()
        let records = store.storage(for: "st2").records("replay")
        let past = StackStormTime(.now) - .seconds(7_200)
        try await records.set(JSONValue.encode(ReplayCursor(time: past, floor: past)), for: "cursor")
        let watch = LogWatch()
        var options = Bench.Options(store: store, logger: watch.logger)
        options.delivery = Delivery.Limits()
        options.module = { $0.replayWindow = .seconds(3_600) }
        options.prepare = { stackStorm in
            await stackStorm.publish(
                payload: ["channel": "#ops", "message": "too late"], route: "errbot", age: .seconds(5_000))
            await stackStorm.publish(
                payload: ["channel": "#ops", "message": "late"], route: "errbot", age: .seconds(1_800))
        }
        try await Bench.run(options) { bench in
            await watch.saw("were not posted: 1 between ")
            #expect(await bench.text().hasSuffix(" min late) late"))
        }
    }

    @Test func `the replay window applies if StackStorm was down at the start`() async throws {
        let store = try TestStore()
        let past = StackStormTime(.now) - .seconds(7_200)
        try await store.storage(for: "st2").records("replay").set(
            JSONValue.encode(ReplayCursor(time: past, floor: past)), for: "cursor")
        let watch = LogWatch()
        var options = Bench.Options(store: store, logger: watch.logger)
        options.module = { $0.replayWindow = .seconds(3_600) }
        options.prepare = { stackStorm in
            await stackStorm.setFault(.status(503), for: .actionalias)
            await stackStorm.publish(
                payload: ["channel": "#ops", "message": "too late"], route: "errbot", age: .seconds(5_000))
        }
        try await Bench.run(options) { bench in
            await watch.saw("were not posted: 1 between ")
            await Self.announce("now", bench)
            #expect(await bench.text() == "now")
        }
    }

    @Test func `an announcement without a recipient is read once`() async throws {
        try await Bench.runWatching { bench, watch in
            await Self.untilLooked(bench, times: 1)
            await bench.stackStorm.publish(payload: ["message": "to nobody"], route: "errbot")
            await watch.saw("names neither a channel nor a user")
            let replay = bench.module.results.replay
            for _ in 0..<3 { #expect(await replay.look()) }
            #expect(replay.health.value.replayed == 0)
        }
    }

    @Test func `the end of an execution without an announcement is reported, with its status and a link`() async throws
    {
        var options = Bench.Options()
        options.module = { $0.gracePeriod = .seconds(1) }
        try await Bench.run(options) { bench in
            await bench.stackStorm.change { $0.announces = false }
            bench.backend.type("!st2 echo lost", thread: "t1")
            let id = try #require(await bench.text().split(separator: " ").last)
            let report = try #require(await bench.backend.next())
            #expect(
                report.reply.text
                    == "core.echo \(id) has ended with the status succeeded, and StackStorm announced no result. "
                    + "http://127.0.0.1/#/history/\(id)/general")
            #expect(report.address.place == .room("#ops") && report.address.thread == "t1")
            bench.backend.type("!st2 status")
            #expect(await bench.text() == "No command that you started here is still running.")
        }
    }

    @Test func `a result without context counts, and its execution is not reported`() async throws {
        var options = Bench.Options()
        options.module = { $0.gracePeriod = .seconds(1) }
        try await Bench.run(options) { bench in
            await Self.untilLooked(bench, times: 1)
            await bench.stackStorm.change { $0.passesContext = false }
            bench.backend.type("!st2 echo once")
            // Without context it is not known that it belongs to a command that is not acknowledged yet.
            #expect(await Self.texts(2, bench).contains { $0.contains("stdout : once") })
            await bench.untilNothingIsOpen()
            await Self.announce("end", bench)
            #expect(await bench.text() == "end")
        }
    }

    @Test func `an unknown outcome is determined and reported`() async throws {
        let release = Signal()
        let wait = SimulatedAction("core.wait") { _ in
            await release.wait()
            return ["stdout": "waited"]
        }
        var options = Bench.Options()
        options.content = SimulatedContent(
            aliases: [SimulatedContent.alias("core.wait", "", action: "core.wait", formats: ["wait"])], actions: [wait])
        options.client = { $0.limits.answer = .seconds(8) }
        options.module = { $0.gracePeriod = .seconds(1) }
        try await Bench.run(options) { bench in
            // StackStorm starts it, and the response is lost.
            await bench.stackStorm.setFault(.hangAfter, for: .aliasexecution)
            bench.backend.type("!st2 wait")
            #expect(await bench.text().contains("the bot searches StackStorm's history for it"))
            #expect(await bench.text().hasPrefix("`wait` was started after all: core.wait "))
            release.open()
            #expect(await bench.text().contains("stdout : waited"))
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == 1)
        }
    }

    @Test func `a command that was sent before a crash is searched for after the restart`() async throws {
        let store = try TestStore()
        let open = store.storage(for: "st2").records(OpenExecutions.collection)
        let intent = OpenExecution(
            request: "r1", person: "@alice", address: Address(backend: "test", place: .room("#ops"), thread: "t"),
            line: "restart nginx", alias: "fleet.restart",
            action: "fleet.restart", since: StackStormTime(.now) - .seconds(5))
        try await open.set(try JSONValue.encode(intent), for: "r1")
        var options = Bench.Options(store: store)
        options.module = { $0.gracePeriod = .seconds(1) }
        try await Bench.run(options) { bench in
            let told = try #require(await bench.backend.next())
            #expect(told.reply.text.hasPrefix("StackStorm's history contains no execution of `restart nginx`"))
            #expect(told.address.thread == "t")
            #expect(try await open.all().isEmpty)
        }
    }

    @Test func `records of an earlier version are read`() throws {
        let decoder = JSONDecoder()
        let open = try decoder.decode(
            OpenExecution.self,
            from: Data(
                #"""
                {"action":"core.local","address":{"backend":"xmpp","inReplyTo":"7","place":{"direct":{"_0":"a@b"}},
                "thread":"t"},"alias":"core.echo","line":"echo x","person":"a@b","request":"r1","since":1795276810000000}
                """#.utf8))
        #expect(
            open
                == OpenExecution(
                    request: "r1", person: "a@b",
                    address: Address(backend: "xmpp", place: .direct("a@b"), thread: "t", inReplyTo: "7"),
                    line: "echo x", alias: "core.echo", action: "core.local",
                    since: StackStormTime(microseconds: 1_795_276_810_000_000)))
        let started = try decoder.decode(
            StartedExecution.self,
            from: Data(
                #"""
                {"address":{"backend":"slack","place":{"room":{"_0":"C1"}}},"alias":"core.echo","id":"e1","line":"echo x",
                "isMasked":false,"person":"U1","request":"r1","start":1795276810000001}
                """#.utf8))
        #expect(
            started
                == StartedExecution(
                    id: "e1", person: "U1", address: Address(backend: "slack", place: .room("C1")), line: "echo x",
                    alias: "core.echo", isMasked: false, request: "r1",
                    start: StackStormTime(microseconds: 1_795_276_810_000_001)))
    }

    @Test func `an execution that is not listed is found by its ID, and one that does not exist is dropped`()
        async throws
    {
        let store = try TestStore()
        let storage = store.storage(for: "st2")
        let address = Address(backend: "test", place: .room("#ops"))
        let watch = LogWatch()
        var options = Bench.Options(store: store, logger: watch.logger)
        options.module = { $0.gracePeriod = .seconds(1) }
        options.prepare = { stackStorm in
            // According to the store, both have just started.
            let old = await stackStorm.publish(payload: [:], route: "elsewhere", age: .seconds(900))
            for (request, id) in [("r1", old), ("r2", String(repeating: "0", count: 24))] {
                let open = OpenExecution(
                    request: request, person: "@alice", address: address, line: "x", alias: "fleet.\(request)",
                    action: "fleet.restart")
                storage.records(OpenExecutions.collection).put(try? JSONValue.encode(open), for: request)
                StartedExecutions(storage.records("executions"), logger: Bench.logger).add(
                    StartedExecution(
                        id: id, person: "@alice", address: address, line: "x", alias: "fleet.\(request)",
                        request: request, start: StackStormTime(.now)))
            }
        }
        try await Bench.run(options) { bench in
            #expect(await bench.text().hasPrefix("fleet.r1 "))
            await watch.saw("fleet.r2 000000000000000000000000 is not in StackStorm's history.")
            await bench.untilNothingIsOpen()
            let left = try await storage.records(OpenExecutions.collection).all()
            #expect(left.isEmpty)
        }
    }

    @Test func `running executions are listed for the user who started them`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 backup orders to s3")
            let id = try #require(await bench.text().split(separator: " ").last)
            bench.backend.type("!st2 status")
            #expect(await bench.text().contains("backup.run \(id): backup orders to s3"))
            bench.backend.type("!st2 status", as: "@bob")
            #expect(await bench.text() == "No command that you started here is still running.")
            #expect(await bench.text().contains("orders is backed up to s3"))
        }
    }

    @Test func `a history that is forbidden is reported in the status, and the stream still works`() async throws {
        let watch = LogWatch()
        var options = Bench.Options(logger: watch.logger)
        options.prepare = { await $0.setFault(.status(403), for: .executions) }
        try await Bench.run(options) { bench in
            await watch.saw("Cannot read StackStorm's execution history")
            #expect(
                bench.module.status().contains {
                    $0.detail.contains(
                        "cannot read execution history, missed announcements will not be replayed: Simulated fault 403")
                })
            await Self.announce("heard", bench)
            #expect(await bench.text() == "heard")
        }
    }
}
