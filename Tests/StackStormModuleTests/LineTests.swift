import Foundation
import Logging
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// The parsing of lines for access rules and the audit log.
@Suite(.timeLimit(.minutes(30))) struct LineTests {
    static let login = SimulatedContent(
        aliases: SimulatedContent.demo.aliases + [
            SimulatedContent.alias(
                "vault.login", "", action: "vault.login",
                formats: ["login {{ user }} with {{ pw }} for {{ hours=1 }} hours"])
        ],
        actions: SimulatedContent.demo.actions + [
            SimulatedAction(
                "vault.login",
                parameters: [
                    "user": ["type": "string"], "pw": ["type": "string", "secret": true], "hours": ["type": "integer"],
                ]
            ) { _ in ["stdout": "done"] }
        ])

    @Test func `a secret parameter is not in the audit log, the store or the log`() async throws {
        let lines = Locked<[String]>([])
        let store = try TestStore()
        var logger = Logger(label: "test") { _ in CollectingLogHandler(lines) }
        logger.logLevel = .trace
        let access = AccessControl(
            rules: [AccessRule(index: 0, command: "st2 login root *", modules: [], limits: .nobody)])
        let options = Bench.Options(
            content: Self.login, store: store, policy: .init(access: access), logger: logger)
        try await Bench.run(options) { bench in
            bench.backend.type("!st2 login joe with hunter2 for 3 hours")
            let id = try #require(await bench.text().firstMatch(of: /[0-9a-f]{24}/)).output
            _ = await bench.backend.next()
            bench.backend.type("!st2 login root with hunter2 for 3 hours")
            #expect(await bench.text().hasPrefix("You may not run this"))
            bench.backend.type("!st2 logni joe with hunter2")
            #expect(await bench.text().contains("has no command"))
            bench.backend.type("!st2 login joe with hunter2 for many hours")
            #expect(await bench.text().contains("Failed to cast"))
            bench.backend.type("!st2 rerun \(id)")
            #expect(await bench.text().hasPrefix("This command had secret parameters"))
            #expect(
                bench.host.audit.all.map(\.line) == [
                    "st2 login joe with ••• for 3 hours", "st2 login root with ••• for 3 hours", "st2 …",
                    "st2 login joe with ••• for many hours", "st2 rerun \(id)",
                ])
        }
        #expect(!lines.value.contains { $0.contains("hunter2") })
        for record in try await store.storage(for: "st2").records("executions").all() {
            #expect(!String(decoding: record.value, as: UTF8.self).contains("hunter2"))
        }
    }

    /// A line that StackStorm's parser changes must not evade a rule.
    @Test(arguments: [
        "restart nginx on web1", "res hosts=web9tart nginx on web1 hosts=web9", "restart \"nginx\" on web1",
        "restart 'nginx' on web1", "restart nginx hosts=web1", "restart other on web1 service=nginx",
    ]) func `rules apply to the line that StackStorm reads`(line: String) async throws {
        var limits = AccessLimits()
        limits.arguments.deny = GlobList(["st2 restart nginx*"])
        let access = AccessControl(rules: [AccessRule(index: 0, command: "st2*", modules: [], limits: limits)])
        try await Bench.run(Bench.Options(policy: .init(access: access))) { bench in
            bench.backend.type("!st2 \(line)")
            let text = await bench.text()
            #expect(text.hasPrefix("You may not run this: access_controls[0]"), "\(text)")
            #expect(await bench.stackStorm.request(count: "POST /api/v1/aliasexecution") == 0)
        }
    }

    /// Formats that are regular expressions, and parameters without a position.
    @Test(arguments: [
        "bounce x on web1 service=prod", "reboot x on web1 service=\"prod\"", "reboot \"x\" on web1 hosts=prod",
        "bounce prod on web1 batch=10", "bounce x on web1 batch=\"10\"", "bounce x on web1 batch =10",
        "bounce x on web1 batch='10'", "T-8 service=T-9",
    ]) func `rules apply to the line that StackStorm reads with any format`(line: String) async throws {
        var content = SimulatedContent.demo
        content.aliases += [
            SimulatedContent.alias(
                "fleet.bounce", "", action: "fleet.restart",
                formats: ["(reboot|bounce) {{ service }} on {{ hosts=web1 }}", "(?P<service>T-[0-9]+)"])
        ]
        var limits = AccessLimits()
        limits.arguments.deny = GlobList(["*prod*", "*batch=10*", "st2 T-9*"])
        let access = AccessControl(rules: [AccessRule(index: 0, command: "st2*", modules: [], limits: limits)])
        try await Bench.run(Bench.Options(content: content, policy: .init(access: access))) { bench in
            bench.backend.type("!st2 \(line)")
            #expect(await bench.text().hasPrefix("You may not run this"))
            bench.backend.type("!st2 bounce web on web2 batch=1")
            #expect(await bench.text().hasPrefix("fleet.bounce started"))
        }
    }

    @Test(arguments: [
        ("restart web on web1 batch=1", "restart web on web1 batch=1"),
        ("echo a \"quoted\" text", "echo a \"quoted\" text"),
        ("echo http://x/?a=b ok", "echo http://x/?a=b ok"), ("drain web1 for 3 minutes", "drain web1 *"),
        ("restart 'web' on web1", "restart*web*on web1"),
    ]) func `ordinary lines are allowed by the rule that matches them`(line: String, allowed: String) async throws {
        var limits = AccessLimits()
        limits.arguments.allow = GlobList(["st2 \(allowed)"])
        let access = AccessControl(rules: [AccessRule(index: 0, command: "st2*", modules: [], limits: limits)])
        try await Bench.run(Bench.Options(policy: .init(access: access))) { bench in
            bench.backend.type("!st2 \(line)")
            #expect(await bench.text().hasPrefix("You may not run this") == false)
        }
    }

    @Test func `help shows formats with parameters if there are rules`() async throws {
        let access = AccessControl(rules: [
            AccessRule(index: 0, command: "st2 restart*", modules: [], limits: .nobody),
            AccessRule(index: 1, command: "st2*", modules: [], limits: AccessLimits()),
        ])
        try await Bench.run(Bench.Options(policy: .init(access: access))) { bench in
            bench.backend.type("!st2help")
            let help = await bench.text()
            for shown in ["echo {{ message }}", "drain {{ host }}", "backup {{ database }}", "status of <service>"] {
                #expect(help.contains(shown))
            }
            #expect(!help.contains("restart"))
        }
    }

    @Test func `pairs that StackStorm would remove from the middle are rejected without rules too`() async throws {
        try await Bench.run { bench in
            bench.backend.type("!st2 res hosts=web9tart nginx on web1 hosts=web9")
            #expect(await bench.text().hasPrefix("The key=value pairs at the end also occur elsewhere in the line"))
            bench.backend.type("!st2 restart nginx on web1 hosts=web9")
            #expect(await bench.text().hasPrefix("Restarting nginx."))
        }
    }

    @Test func `a secret parameter is masked at every position`() async throws {
        try await Bench.run(Bench.Options(content: Self.login)) { bench in
            bench.backend.type("!st2 login joe with hunter2 for 3 hours pw=hunter3")
            _ = await bench.backend.next()
            _ = await bench.backend.next()
            bench.backend.type("!acl why @bob #ops !st2 login joe with hunter4 for 3 hours")
            _ = await bench.backend.next()
            #expect(bench.host.audit.all.first?.line == "st2 login joe with ••• for 3 hours pw=•••")
        }
    }

    @Test func `parameters that are not known count as secret`() async throws {
        let secrets = KnownActions()
        let table = AliasTable([
            Alias(
                id: "1", name: "a", pack: "p",
                formats: [Alias.Format(display: "x", representations: ["login {{ user }} with {{ pw }}"])])
        ])
        guard case .one(let match) = table.matcher.match("login joe with joe") else {
            Issue.record("the line matches nothing")
            return
        }
        #expect(secrets.masked("login joe with joe", match) == "login ••• with •••")
    }

    @Test func `rules apply to the line that rerun runs`() async throws {
        let store = try TestStore()
        let denied = AccessControl(rules: [AccessRule(index: 0, command: "st2 echo*", modules: [], limits: .nobody)])
        for policy in [Dispatcher.Policy(), Dispatcher.Policy(access: denied)] {
            try await Bench.run(Bench.Options(store: store, policy: policy)) { bench in
                if policy.access.rules.isEmpty {
                    bench.backend.type("!st2 echo x")
                    _ = await bench.backend.next()
                    _ = await bench.backend.next()
                }
                let id = try #require(try await store.storage(for: "st2").records("executions").all().first?.key)
                bench.backend.type("!st2 rerun \(id)")
                let isAllowed = policy.access.rules.isEmpty
                #expect(await bench.text().hasPrefix(isAllowed ? "core.echo started" : "You may not run this"))
                // The result, which would otherwise be posted after the restart.
                if isAllowed { _ = await bench.backend.next() }
            }
        }
    }
}

extension AccessLimits {
    static var nobody: AccessLimits {
        var limits = AccessLimits()
        limits.users.allow = GlobList([])
        return limits
    }
}
