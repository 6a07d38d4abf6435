import AWSClient
import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule

/// Searches with instances from a closure.
@Suite(.timeLimit(.minutes(30))) struct SearchTests {
    @Test func `all accounts and regions are searched at the same time`() async throws {
        let waiting = Locked(0)
        let all = Signal()
        let backend = RecordingBackend()
        try await TestAccounts.run(
            try TestAccounts.two(), on: backend,
            describe: { _, place, _, body in
                if waiting.withLock({
                    $0 += 1; return $0
                }) == 3 {
                    all.open()
                }
                // No place answers before all were asked.
                await all.wait()
                if place.region == "us-east-1" { body(TestAccounts.instance(1, name: "db-1")) }
            }
        ) {
            let reply = try await backend.ask("infra search db-1")
            #expect(reply.text.hasPrefix("db-1 (i-00000000000000001) is a running t3.micro in eu-west-2a"))
            #expect(reply.text.contains("Account: staging (222222222222), region us-east-1"))
            #expect(!reply.text.contains("Not searched") && !reply.isPrivate)
        }
    }

    @Test func `places that fail are named, and asked again by the next search`() async throws {
        let fails = Locked(true)
        let asked = Locked<[String]>([])
        let backend = RecordingBackend()
        try await TestAccounts.run(
            try TestAccounts.two(), on: backend,
            describe: { _, place, _, body in
                asked.withLock { $0.append(place.region) }
                guard place.region != "eu-west-1" || !fails.value else { throw AWSError(.throttled, "too many calls") }
                body(TestAccounts.instance(place.region.utf8.count))
            }
        ) {
            let first = try await backend.ask("infra search tag:Name=*")
            #expect(first.text.hasPrefix("2 instances"))
            #expect(first.text.hasSuffix("Not searched:\n• staging (eu-west-1): too many calls"))
            fails.withLock { $0 = false }
            asked.withLock { $0 = [] }
            let second = try await backend.ask("infra search name:*")
            #expect(asked.value == ["eu-west-1"])
            #expect(second.text.contains("In part as seen ") && !second.text.contains("Not searched"))
            asked.withLock { $0 = [] }
            let third = try await backend.ask("infra search name:*")
            #expect(asked.value == [] && third.text.contains("As seen "))
            let accounts = try await backend.ask("infra accounts")
            #expect(accounts.text.contains("production (111111111111, role PetrelInspection)\n• eu-west-2: last good"))
            let known = /eu-west-1: last good answer [0-9.]+ [a-z]+ ago; last error [0-9.]+ [a-z]+ ago: too many calls/
            #expect(accounts.text.contains(known), "\(accounts.text)")
        }
    }

    @Test func `a search that reached no place is not remembered`() async throws {
        let fails = Locked(true)
        let backend = RecordingBackend()
        try await TestAccounts.run(
            try TestAccounts.two(), on: backend,
            describe: { _, _, _, body in
                if fails.value { throw AWSError(.throttled, "too many calls") }
                body(TestAccounts.instance(1))
            }
        ) {
            for _ in 0..<2 {
                let text = try await backend.ask("infra search x").text
                #expect(text.contains("No account could be searched.") && !text.contains("s seen"), "\(text)")
            }
            fails.withLock { $0 = false }
            let text = try await backend.ask("infra search x").text
            #expect(text.hasPrefix("3 instances") && !text.contains("s seen"), "\(text)")
            #expect(try await backend.ask("infra search x").text.contains("As seen "))
        }
    }

    @Test func `a query that EC2 does not answer is no failure of an account`() async throws {
        let watch = Locked<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingLogHandler(watch) }
        let settings = try TestAccounts.two()
        let errors = [
            AWSError(.tooLarge, "too many pages"),
            AWSError(.query, "EC2 does not accept the request (InvalidParameterValue)"),
        ]
        for (error, isFailing) in errors.map({ ($0, false) }) + [(AWSError(.late, "late"), true)] {
            watch.withLock { $0 = [] }
            let search = InfraSearch(
                settings, meters: TestAccounts.meters, logger: logger, describe: { _, _, _, _ in throw error })
            let result = try await search.result(of: try InfraQuery("x"))
            #expect(result.failures.map { $0.error } == [error, error, error])
            #expect(search.health.summary.failing == (isFailing ? 3 : 0))
            #expect(watch.value.isEmpty != isFailing)
        }
    }

    @Test func `an instance that two roles can see is one instance`() async throws {
        var settings = try TestAccounts.settings([
            ("a", "111111111111", ["eu-west-2"]), ("b", "111111111111", ["eu-west-2", "eu-west-1"]),
        ])
        settings.accounts[1].role.arn = try #require(RoleARN("arn:aws:iam::111111111111:role/Other"))
        let fails = Locked(true)
        let backend = RecordingBackend()
        try await TestAccounts.run(
            settings, on: backend,
            describe: { filters, place, _, body in
                if place.role.arn.name == "Other", fails.value { throw AWSError(.late, "late") }
                let count = filters[0].name == "tag:Name" ? 30 : 1
                if place.region == "eu-west-2" { for number in 1...count { body(TestAccounts.instance(number)) } }
            }
        ) {
            #expect(try await backend.ask("infra search 10.0.0.1").text.contains("Account: a (111111111111)"))
            fails.withLock { $0 = false }
            // The second role is asked by the second search only.
            let text = try await backend.ask("infra search 10.0.0.1").text
            #expect(text.hasPrefix("i-00000000000000001 is a running") && !text.contains("Not searched"), "\(text)")
            let whole = try await backend.ask("infra search 10.0.0.2").text
            #expect(whole.hasPrefix("i-00000000000000001 is a running"), "\(whole)")
            for isFailing in [true, false] {
                fails.withLock { $0 = isFailing }
                let many = try await backend.ask("infra search x").text
                #expect(many.hasPrefix("30 instances\n") && many.contains("Not searched") == isFailing, "\(many)")
            }
        }
    }

    @Test func `accounts with a session are ready before the first search`() async throws {
        let settings = try TestAccounts.two()
        let prepared = Signal()
        let search = InfraSearch(
            settings, meters: TestAccounts.meters, logger: TestAccounts.silent,
            prepare: { place, _ in
                if place.region == "eu-west-2" { prepared.open() } else { throw AWSError(.late, "late") }
            },
            describe: { _, _, _, _ in })
        func text() -> String {
            AccountsAnswer(search: search, clockOffset: 0, now: .now, part: "", listing: { $0 })
                .reply(for: BackendTraits()).text
        }
        #expect(text().contains("eu-west-2: no good answer yet"))
        await search.prepareAll()
        #expect(prepared.isOpen && text().contains("eu-west-2: ready, not searched yet\n"))
        #expect(text().contains("us-east-1, eu-west-1: no good answer yet; last error"))
    }

    @Test func `nothing found, bad queries and complete failures are told to the asker only`() async throws {
        let fails = Locked(false)
        let backend = RecordingBackend()
        try await TestAccounts.run(
            try TestAccounts.two(), on: backend,
            describe: { _, _, _, _ in if fails.value { throw AWSError(.late, "late") } }
        ) {
            let nothing = try await backend.ask("infra search web")
            #expect(nothing.isPrivate && nothing.text.hasPrefix("No instance matches name:web in 2 accounts."))
            #expect(nothing.text.contains("!infra search name:*web*"))
            let bad = try await backend.ask("infra search i-12")
            #expect(bad.isPrivate && bad.kind == .error && bad.text.contains("tag:Role=db"))
            #expect(try await backend.ask("infra-search").isPrivate)
            fails.withLock { $0 = true }
            let failed = try await backend.ask("infra search 10.0.0.1")
            #expect(failed.isPrivate && failed.kind == .error)
            #expect(
                failed.text.contains("No account could be searched.") && failed.text.contains("• All 2 accounts: late"))
        }
    }

    @Test func `of many instances 20 are listed, in the order of their names`() async throws {
        let backend = RecordingBackend()
        try await TestAccounts.run(
            try TestAccounts.two(), on: backend,
            describe: { _, place, _, body in
                // The second page repeats an instance.
                for number in [1, 1] + Array(2...40) where place.region == "eu-west-2" {
                    body(TestAccounts.instance(number, name: "web-\(number % 10)"))
                }
                if place.region == "us-east-1" { body(TestAccounts.instance(100, name: "a")) }
            }
        ) {
            let lines = try await backend.ask("infra search *").text.split(separator: "\n")
            #expect(lines[0] == "41 instances" && lines.count == 22)
            #expect(lines[1].hasPrefix("• a · i-00000000000000064 · running") && lines[2].hasPrefix("• web-0"))
            #expect(lines[21].hasPrefix("… and 21 more."))
        }
    }

    @Test func `a broad search ends when enough instances are known, and says that there are more`() async throws {
        let pages = Locked<[String: Int]>([:])
        let backend = RecordingBackend()
        try await TestAccounts.run(
            try TestAccounts.two(), on: backend,
            describe: { _, place, _, receiver in
                // The region us-east-1 has one page; the others have as many as are wanted.
                repeat {
                    let page = pages.withLock { pages in
                        pages[place.region, default: 0] += 1
                        return pages[place.region] ?? 0
                    }
                    for number in 0..<100 {
                        let offset = (place.region.utf8.last == UInt8(ascii: "2") ? 100_000 : 0) + page * 100
                        receiver(TestAccounts.instance(offset + number, name: "web"))
                    }
                } while place.region != "us-east-1" && receiver.takesMore()
            }
        ) {
            let text = try await backend.ask("infra search web*").text
            let total = pages.value.values.reduce(0, +) * 100
            #expect(pages.value["us-east-1"] == 1 && (1_000...1_200).contains(total), "\(pages.value)")
            #expect(text.hasPrefix("More than \(total) instances\n"), "\(text.prefix(80))")
            #expect(
                text.hasSuffix(
                    "… and more than \(total - 20) others. Add a word to narrow the search, such as state:running."))
            // What was remembered says so as well.
            #expect(try await backend.ask("infra search web*").text.hasPrefix("More than \(total) instances\n"))
        }
    }

    @Test(arguments: [true, false])
    func `a search that takes long is announced, and the announcement becomes the answer`(edits: Bool) async throws {
        var settings = try TestAccounts.two()
        settings.patience = .zero
        let backend = RecordingBackend(traits: BackendTraits(privateReplies: true, edits: edits))
        let goesOn = Signal()
        let finds = Locked(true)
        try await TestAccounts.run(
            settings, on: backend,
            describe: { _, place, _, body in
                await goesOn.wait()
                if finds.value, place.region == "eu-west-2" { body(TestAccounts.instance(7)) }
            }
        ) {
            let first = try await backend.ask("infra search 10.0.0.7")
            #expect(first.text == "Looking in 2 accounts…" && first.isPrivate == !edits)
            goesOn.open()
            let answer = try #require(await backend.next())
            #expect(answer.isReplacement == edits && answer.reply.text.hasPrefix("i-00000000000000007 is a running"))
            // Only the asker sees that nothing was found.
            finds.withLock { $0 = false }
            backend.type("!infra search 10.0.0.8")
            var replies: [RecordingBackend.Sent] = []
            while replies.count < (edits ? 3 : 2) { replies.append(try #require(await backend.next())) }
            #expect(replies.contains { $0.reply.isPrivate && $0.reply.text.hasPrefix("No instance matches") })
            #expect(!edits || replies.contains { $0.isReplacement && $0.reply.text == "Searched 2 accounts." })
        }
    }

    @Test func `in a direct chat, the announcement becomes the answer that nothing was found`() async throws {
        var settings = try TestAccounts.two()
        settings.patience = .zero
        let backend = RecordingBackend(traits: BackendTraits(privateReplies: true, edits: true))
        let goesOn = Signal()
        try await TestAccounts.run(settings, on: backend, describe: { _, _, _, _ in await goesOn.wait() }) {
            backend.type("!infra search 10.0.0.8", in: nil)
            #expect(await backend.next()?.reply.text == "Looking in 2 accounts…")
            goesOn.open()
            let answer = try #require(await backend.next())
            #expect(answer.isReplacement && answer.reply.text.hasPrefix("No instance matches"), "\(answer.reply.text)")
        }
    }

    @Test func `rules decide on searches, however a word is written`() async throws {
        var limits = AccessLimits()
        limits.arguments.deny = GlobList(["*tag:Env=prod*"])
        let rule = AccessRule(index: 0, command: "infra search*", modules: [], limits: limits)
        let backend = RecordingBackend()
        try await TestAccounts.run(
            try TestAccounts.two(), on: backend, policy: Dispatcher.Policy(access: AccessControl(rules: [rule])),
            describe: { _, _, _, _ in }
        ) {
            for line in [
                "infra search tag:Env=prod", "infra-search TAG:\"Env=prod-1\"", "INFRA_search x tag:E\"nv=pro\"d",
                "infra search tag:Env=* tag:Env=\\p\\rod",
            ] {
                let reply = try await backend.ask(line)
                #expect(reply.text.hasPrefix("You may not run this: access_controls[0]"), "\(line)")
            }
            #expect(try await backend.ask("infra search tag:Env=dev").text.hasPrefix("No instance matches"))
        }
    }

    @Test func `the log names places that can no longer be searched, and that can be again, once`() async throws {
        let lines = Locked<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingLogHandler { line in lines.withLock { $0.append(line) } } }
        let fails = Locked(true)
        var settings = try TestAccounts.two()
        settings.cache = .zero
        let search = InfraSearch(settings, meters: TestAccounts.meters, logger: logger) { _, place, _, _ in
            if fails.value, place.region == "eu-west-1" { throw AWSError(.late, "late") }
        }
        for isFailing in [true, true, false, false] {
            fails.withLock { $0 = isFailing }
            _ = try await search.result(of: try InfraQuery("10.0.0.1"))
        }
        #expect(lines.value.count == 2)
        #expect(lines.value.first?.contains("Cannot search staging (eu-west-1): late") == true)
        #expect(lines.value.last?.contains("Can search staging (eu-west-1) again.") == true)
    }

    @Test func `the status fails only if no role can be assumed, and recovers`() async throws {
        let error = Locked<AWSError?>(AWSError(.signature, "wrong secret"))
        let search = InfraSearch(
            try TestAccounts.two(), meters: TestAccounts.meters, logger: TestAccounts.silent,
            prepare: { _, _ in if let error = error.value { throw error } },
            describe: { _, _, _, _ in throw AWSError(.late, "late") })
        #expect(search.health.summary.hasSessions)
        await search.prepareAll()
        #expect(!search.health.summary.hasSessions && search.health.summary.failing == 3)
        error.withLock { $0 = nil }
        await search.prepareAll()
        #expect(search.health.summary.hasSessions && search.health.summary.failing == 0)
        // An error of a search remains until a search succeeds.
        _ = try await search.result(of: try InfraQuery("10.0.0.1"))
        await search.prepareAll()
        #expect(search.health.summary.hasSessions && search.health.summary.failing == 3)
    }

    @Test func `searches, calls and sessions are counted by outcome`() async throws {
        let metrics = PrometheusMetrics(help: InfraMeters.help)
        let search = InfraSearch(
            try TestAccounts.two(), meters: InfraMeters(metrics), logger: TestAccounts.silent,
            prepare: { place, _ in if place.role.arn.account.hasPrefix("2") { throw AWSError(.denied, "denied") } },
            describe: { _, place, _, body in
                guard place.region != "eu-west-1" else { throw AWSError(.late, "late") }
                body(TestAccounts.instance(1))
            })
        await search.prepareAll()
        for _ in 0..<2 { _ = try await search.result(of: try InfraQuery("10.0.0.1")) }
        let lines = metrics.render().components(separatedBy: "\n")
        for line in [
            "petrel_infra_searches_total{outcome=\"partial\"} 2",
            "petrel_infra_calls_total{account=\"production\",outcome=\"ok\"} 1",
            "petrel_infra_calls_total{account=\"staging\",outcome=\"late\"} 2",
            "petrel_infra_sessions_total{account=\"staging\",outcome=\"denied\"} 1",
            "petrel_infra_search_seconds_count 2",
        ] { #expect(lines.contains(line), "\(line) in \(lines)") }
    }

    @Test func `identical searches at the same time share their calls`() async throws {
        let calls = Locked(0)
        let goesOn = Signal()
        let asked = Signal()
        let search = InfraSearch(try TestAccounts.two(), meters: TestAccounts.meters, logger: TestAccounts.silent) {
            _, _, _, body in
            if calls.withLock({
                $0 += 1; return $0
            }) == 3 {
                asked.open()
            }
            await goesOn.wait()
            body(TestAccounts.instance(1))
        }
        let query = try InfraQuery("10.0.0.1")
        try await withThrowingTaskGroup { group in
            for _ in 0..<20 { group.addTask { try await search.result(of: query).total } }
            await asked.wait()
            goesOn.open()
            for try await total in group { #expect(total == 3) }
        }
        #expect(calls.value == 3)
    }

    @Test func `results are remembered for a minute at most`() async throws {
        let now = Locked(ContinuousClock.now)
        let calls = Locked(0)
        var settings = try TestAccounts.two()
        settings.cache = InfraSettings(accounts: [], environment: [:]).cache
        let query = try InfraQuery("10.0.0.1")
        let search = InfraSearch(settings, meters: TestAccounts.meters, logger: TestAccounts.silent, now: { now.value })
        { _, _, _, _ in
            calls.withLock { $0 += 1 }
        }
        #expect(try await search.result(of: query).remembered == nil)
        now.withLock { $0 += .seconds(59) }
        #expect(try await search.result(of: query).remembered?.age == .seconds(59))
        #expect(calls.value == 3)
        now.withLock { $0 += .seconds(1) }
        #expect(try await search.result(of: query).remembered == nil)
        #expect(calls.value == 6)
        settings.cache = .zero
        let forgetful = InfraSearch(settings, meters: TestAccounts.meters, logger: TestAccounts.silent) { _, _, _, _ in
            calls.withLock { $0 += 1 }
        }
        _ = try await forgetful.result(of: query)
        _ = try await forgetful.result(of: query)
        #expect(calls.value == 12)
    }
}
