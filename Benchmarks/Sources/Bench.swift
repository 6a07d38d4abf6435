import Foundation
import PetrelCore
import PetrelKit
import PetrelTesting
import StackStormClient

/// Runs the benchmarks, prints one line per result, and compares the results with `Benchmarks/thresholds.json`.
@main
struct Bench {
    static func main() async throws {
        guard CommandLine.arguments.count == 2 else {
            print("usage: petrel-bench THRESHOLDS.json")
            exit(64)
        }
        let thresholds = try JSONDecoder().decode(
            [String: Threshold].self, from: Data(contentsOf: URL(fileURLWithPath: CommandLine.arguments[1])))
        var results = matcherResults() + parserResults() + accessResults()
        results += try await lineResults()
        results += try await dispatcherResults()
        results += try await processResults()
        results += try await jobResults()
        var missed = 0
        for result in results {
            let threshold = thresholds[result.name]
            let isGood = threshold.map { $0.allows(result.value) } ?? true
            if !isGood { missed += 1 }
            let limit = threshold.map { "\($0)" } ?? "no threshold"
            print(
                "\(isGood ? "ok  " : "MISS") \(result.name): \(result.value.formatted(.number.precision(.significantDigits(3)))) \(result.unit) (\(limit))"
            )
        }
        for name in thresholds.keys.sorted() where !results.contains(where: { $0.name == name }) {
            print("MISS \(name): not measured")
            missed += 1
        }
        exit(missed == 0 ? 0 : 1)
    }
}

struct Threshold: Decodable, CustomStringConvertible {
    var atMost: Double?
    var atLeast: Double?

    func allows(_ value: Double) -> Bool { value <= atMost ?? .infinity && value >= atLeast ?? -.infinity }

    var description: String {
        [atMost.map { "at most \($0.formatted())" }, atLeast.map { "at least \($0.formatted())" }].compactMap { $0 }
            .joined(separator: ", ")
    }
}

struct Measure {
    var name: String
    var value: Double
    var unit: String
}

extension Bench {
    /// Returns the median time of one call over several rounds, in seconds.
    static func seconds(rounds: Int = 7, calls: Int, _ body: () -> Void) -> Double {
        body()
        let times = (0..<rounds).map { _ in
            let start = ContinuousClock.now
            for _ in 0..<calls { body() }
            return start.duration(to: .now) / .seconds(1) / Double(calls)
        }
        return times.sorted()[rounds / 2]
    }

    private static func aliases(_ count: Int) -> [Alias] {
        (0..<count).map { number in
            let formats = ["bench\(number) {{cmd}}", "run job\(number) on {{host}} with {{opts=none}}"]
            return Alias(
                id: "\(number)", name: "alias\(number)", pack: "pack\(number % 20)",
                formats: formats.map { Alias.Format(display: $0, representations: [$0]) })
        }
    }

    /// Measures decisions with 500 rules with lists and groups: the last rule matches, none matches, or the globs have no
    /// literal prefix.
    static func accessResults() -> [Measure] {
        func access(_ command: (Int) -> String) -> AccessControl {
            AccessControl(
                rules: (0..<500).map { number in
                    var limits = AccessLimits()
                    limits.users.allow = GlobList((0..<20).map { "@user\($0 + number)" } + ["@team-*"])
                    limits.rooms.allow = GlobList(["#ops", "#eu-*"])
                    limits.arguments.deny = GlobList(["* --force*"])
                    return AccessRule(index: number, command: command(number), modules: ["st2"], limits: limits)
                })
        }
        func measure(_ name: String, _ access: AccessControl, _ line: String) -> Measure {
            let question = AccessControl.Question(
                person: Person(id: "U0001", name: "@user510"), room: Room(id: "C0001", name: "#eu-west"),
                backend: "slack", module: "st2", lines: [line])
            let time = seconds(calls: 20_000) { blackHole(access.decide(question)) }
            return Measure(name: "access, 500 rules, \(name)", value: time * 1e6, unit: "µs a decision")
        }
        let distinct = access { "st2 pack\($0) restart *" }
        let floating = access { "*pack\($0) restart*" }
        return [
            measure("decided by the last", distinct, "st2 pack499 restart web1.example.com in batches of 5"),
            measure("decided by none", distinct, "st2 deploy web to production with version 1.2.3"),
            measure("all starting with *", floating, "st2 pack499 restart web1.example.com in batches of 5"),
        ]
    }

    @inline(never)
    private static func blackHole(_ value: AccessDecision) {}

    static func matcherResults() -> [Measure] {
        var results = [200, 2_000, 5_000].map { count in
            let matcher = AliasMatcher(aliases(count))
            let line = "run job\(count / 2) on web1.example.com with verbose timeout=5"
            guard case .one = matcher.match(line) else { fatalError("the line of the benchmark matches nothing") }
            let time = seconds(calls: 2_000) { _ = matcher.match(line) }
            return Measure(name: "matcher, \(count) aliases", value: time * 1e6, unit: "µs a line")
        }
        let format = Alias.Format(display: nil, representations: ["run {{a}} {{b}} {{c}} end"])
        let matcher = AliasMatcher([Alias(id: "h", name: "h", pack: "p", formats: [format])])
        for (name, line) in [
            ("spaces", "run " + String(repeating: "x ", count: 20_000)),
            ("pairs", "run " + String(repeating: "a={ ", count: 10_000)),
        ] {
            let time = seconds(rounds: 3, calls: 1) { _ = matcher.match(line) }
            results.append(Measure(name: "matcher, hostile line of 40,000 \(name)", value: time * 1e3, unit: "ms"))
        }
        let table = aliases(5_000)
        let build = seconds(rounds: 3, calls: 1) { _ = AliasMatcher(table) }
        results.append(Measure(name: "matcher, build of 5,000 aliases", value: build * 1e3, unit: "ms"))
        return results
    }

    static func parserResults() -> [Measure] {
        let payload =
            #"{"payload":{"user":"U1","channel":"C42","whisper":false,"message":"\#(String(repeating: "x", count: 200))"}}"#
        let event = Array("event: st2.announcement__errbot\ndata: \(payload)\n\n".utf8)
        let many = Array(repeatElement(event, count: 10_000).joined())
        let events = seconds(rounds: 5, calls: 1) {
            var parser = ServerSentEventParser()
            var items: [ServerSentEventParser.Item] = []
            many.withUnsafeBytes { bytes in
                for start in stride(from: 0, to: bytes.count, by: 4_096) {
                    items.removeAll(keepingCapacity: true)
                    parser.feed(
                        UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + 4_096, bytes.count)]), into: &items)
                }
            }
        }
        let big = Array("event: e\ndata: \(String(repeating: "y", count: 4 << 20))\n\n".utf8)
        let one = seconds(rounds: 5, calls: 1) {
            var parser = ServerSentEventParser()
            var items: [ServerSentEventParser.Item] = []
            big.withUnsafeBytes { bytes in
                for start in stride(from: 0, to: bytes.count, by: 1_024) {
                    parser.feed(
                        UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + 1_024, bytes.count)]), into: &items)
                }
            }
        }
        return [
            Measure(name: "stream parser, events", value: 10_000 / events, unit: "a second"),
            Measure(name: "stream parser, one event of 4 MB in chunks of 1 KB", value: one * 1e3, unit: "ms"),
        ]
    }

    struct Echo: BotModule {
        let name = "echo"
        var commands: [Command] { [Command("echo", summary: "") { Reply($0.arguments) }] }
    }

    static func dispatcherResults() async throws -> [Measure] {
        let count = 20_000
        let backend = RecordingBackend()
        let time = try await TestHost([backend]).run([Echo()]) {
            let start = ContinuousClock.now
            // No more at once than the limit of waiting commands allows.
            for first in stride(from: 0, to: count, by: 500) {
                for number in first..<(first + 500) {
                    backend.type("!echo \(number)", as: "@p\(number % 20)", in: "#r\(number % 50)")
                }
                for _ in 0..<500 { try await expectNumber(backend) }
            }
            return start.duration(to: .now) / .seconds(1)
        }
        return [Measure(name: "dispatcher, message to reply", value: Double(count) / time, unit: "messages a second")]
    }
}
