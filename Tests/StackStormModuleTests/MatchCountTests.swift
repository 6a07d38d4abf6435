import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// One match serves the access rules, the audit log and the execution of a line.
@Suite(.timeLimit(.minutes(30))) struct MatchCountTests {
    private static let lines = [
        "echo hello", "restart nginx on web1", "restart nginx on web1 hosts=web9", "restart 'nginx' on web1 batch=2",
        "login joe with hunter2 for 3 hours", "login joe with \"hunter2\" for 3 hours pw=hunter3",
    ]

    @Test(arguments: lines, [false, true]) func `a line that runs is matched once`(
        line: String, hasRules: Bool
    ) async throws {
        var limits = AccessLimits()
        limits.arguments.deny = GlobList(["st2 nothing*"])
        let rules = [AccessRule(index: 0, command: "st2*", modules: [], limits: limits)]
        let access = AccessControl(rules: hasRules ? rules : [])
        let options = Bench.Options(content: LineTests.login, policy: .init(access: access))
        try await Bench.run(options) { bench in
            let tried = Locked<[String: Int]>([:])
            let aliases = try #require(bench.module.catalog.table.value?.aliases)
            bench.module.catalog.table.withLock { table in
                table = AliasTable(aliases) { source in tried.withLock { $0[source, default: 0] += 1 } }
            }
            // All parameters of an action that is not known count as secret.
            bench.module.catalog.actions.withLock { $0 = KnownActions() }
            bench.backend.type("!st2 \(line)")
            #expect(await !bench.text().isEmpty)
            let first = String(line.words[0])
            #expect(tried.value.filter { $0.key.hasPrefix(first) }.map(\.value) == [1], "\(tried.value)")
            #expect(bench.host.audit.all.first?.executions.count == 1)
            #expect(bench.host.audit.all.first?.line.contains("hunter") == false)
        }
    }

    @Test func `the audit log masks a secret that only the response reveals`() async throws {
        try await Bench.run(Bench.Options(content: LineTests.login)) { bench in
            bench.module.catalog.actions.withLock { actions in
                actions = KnownActions()
                let text: JSONValue = ["type": "string"]
                actions.learn(
                    ActionSchema(
                        ref: "vault.login", parameters: ["user": text, "pw": text, "hours": text],
                        runner: "local-shell-cmd"))
            }
            bench.backend.type("!st2 login joe with hunter2 for 3 hours")
            #expect(await bench.text().hasPrefix("vault.login started"))
            #expect(bench.host.audit.all.map(\.line) == ["st2 login joe with ••• for 3 hours"])
        }
    }
}
