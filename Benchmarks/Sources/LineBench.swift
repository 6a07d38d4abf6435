import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormModule

extension Bench {
    /// Measures the processing of the longest accepted lines before a command runs: parsing, access decisions with 500
    /// rules, and masking for the audit log. The action's schema is unknown, so that every value counts as secret.
    static func lineResults() async throws -> [Measure] {
        let limits = LineLimits()
        let format = "run {{ job }} on {{ host }}"
        let alias = Alias(
            id: "1", name: "run", pack: "bench", formats: [Alias.Format(display: format, representations: [format])])
        return try await withModule([alias]) { module in
            guard let command = module.commands.first else { fatalError("the module has no command") }
            let table = CommandTable([(module: module.name, command: command)])
            return [
                ("pairs, parsed and judged", pairs(limits)), ("quoted pairs, parsed and judged", quotedPairs(limits)),
                ("secrets, masked", likeSecrets(limits)),
            ].map { name, line in
                let time = seconds(rounds: 5, calls: 4) { treat(line, table) }
                return Measure(
                    name: "line of \(limits.bytes) bytes, \(limits.pairs) \(name)", value: time * 1e3, unit: "ms")
            }
        }
    }

    /// Runs the body after the module has loaded its aliases from the store, without a StackStorm.
    private static func withModule<Value>(
        _ aliases: [Alias], _ body: (StackStormModule) throws -> Value
    ) async throws -> Value {
        guard let nowhere = URL(string: "http://127.0.0.1:9/") else { fatalError("the URL is invalid") }
        let settings = StackStormModuleSettings(
            client: StackStormSettings(auth: nowhere, api: nowhere, stream: nowhere, login: .apiKey(Secret("bench"))))
        let host = try TestHost([]).access(for: settings.name)
        let module = try StackStormModule(settings, host: host)
        try await host.storage.records("aliases").replaceAll(
            with: aliases.map { ($0.ref, try JSONValue.encode($0)) })
        let run = Task { try await module.run() }
        defer { run.cancel() }
        while module.commands.first?.lines?().isEmpty != false { try await Task.sleep(for: .milliseconds(10)) }
        return try body(module)
    }

    private static let rules: AccessControl = {
        var limits = AccessLimits()
        limits.arguments.deny = GlobList(["* --force*", "*password*"])
        return AccessControl(
            rules: (0..<500).map { number in
                let command = number < 499 ? "st2 pack\(number) *" : "*"
                return AccessRule(index: number, command: command, modules: ["st2"], limits: limits)
            })
    }()

    private static func treat(_ line: String, _ table: CommandTable) {
        guard let match = table.find(CommandText(line).text) else {
            fatalError("the line of the benchmark matches no command")
        }
        let parsed = match.parsed()
        let question = parsed.question(by: Person(id: "U0001", name: "@user"), in: nil, on: "slack")
        blackHole(rules.decide(question))
        blackHole(parsed.masked)
    }

    @inline(never)
    private static func blackHole(_ value: AccessDecision) {}

    @inline(never)
    private static func blackHole(_ value: String) {}

    /// Returns a line with the maximum number of pairs, whose values fill the line.
    private static func pairs(_ limits: LineLimits) -> String {
        filled(limits) { number, size in "k\(number)=" + String(repeating: "v", count: size - 6) + "\(number % 10)" }
    }

    private static func quotedPairs(_ limits: LineLimits) -> String {
        filled(limits) { number, size in "k\(number)=\"" + String(repeating: "v ", count: (size - 7) / 2) + "\"" }
    }

    /// Returns a line in which all secrets and every position of a long name share the same prefix.
    private static func likeSecrets(_ limits: LineLimits) -> String {
        let name = String(repeating: "a", count: limits.bytes / 2)
        var half = limits
        half.bytes = limits.bytes / 2 - 8
        half.pairs = limits.pairs - 1
        let line = filled(half) { number, size in
            "k\(number)=" + String(repeating: "a", count: size - 8) + "\(number + 100)"
        }
        return line + " " + name + "=b"
    }

    private static func filled(_ limits: LineLimits, _ pair: (_ number: Int, _ size: Int) -> String) -> String {
        let start = "st2 run job on web1"
        let size = (limits.bytes - start.utf8.count) / limits.pairs - 1
        let line = start + (0..<limits.pairs).map { " " + pair($0, size) }.joined()
        guard line.utf8.count <= limits.bytes else { fatalError("the line of the benchmark is too long") }
        return line
    }
}
