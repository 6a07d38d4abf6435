import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

@testable import StackStormModule

/// Access rules apply to the line that runs.
@Suite(.timeLimit(.minutes(30))) struct JudgedTests {
    /// Runs a closure with a pending inquiry, whose answers have access limits.
    private static func asked(
        _ limits: AccessLimits, _ body: @Sendable @escaping (Bench, _ id: String) async throws -> Void
    ) async throws {
        let access = AccessControl(rules: [
            AccessRule(index: 0, command: "st2 inquiry answer*", modules: [], limits: limits),
            AccessRule(index: 1, command: "*", modules: [], limits: AccessLimits()),
        ])
        try await Bench.run(Bench.Options(policy: .init(access: access))) { bench in
            bench.backend.type("!st2 deploy web 2")
            _ = await bench.backend.next()
            let question = try #require(await bench.backend.next()?.reply.text)
            try await body(bench, String(try #require(question.firstMatch(of: /inquiry answer ([0-9a-f]{24})/)).1))
        }
    }

    /// Scalars that form a Character with their neighbours must not hide a verb from a rule.
    @Test(arguments: [
        "inquiry \u{0301}answer", "inquiry\u{0301} answer", "\u{0600}inquiry answer", "inquiry\u{200D} answer",
        "inquiry\r\nanswer", "inquiry\u{1F}answer", "INQUIRY answer", "inquiry\u{2028}answer", "inquiry \u{FE0F}answer",
    ]) func `rules apply to the verb of a line with combining scalars`(verb: String) async throws {
        var limits = AccessLimits()
        limits.users.allow = GlobList(["@alice"])
        try await Self.asked(limits) { bench, id in
            bench.backend.type("!st2 \(verb) \(id) approved=yes", as: "@bob")
            let text = await bench.text()
            #expect(text.contains("You may not run this") || text.contains("has no command"), "\(text)")
            #expect(await bench.stackStorm.request(count: "PUT /api/v1/inquiries/\(id)") == 0)
        }
    }

    @Test func `rules and the audit log use the line of the answers to a form`() async throws {
        var limits = AccessLimits()
        limits.arguments.deny = GlobList(["*approved=yes*", "*approved=true*"])
        try await Self.asked(limits) { bench, id in
            for values in [["approved": "true"], ["approved": "yes"], ["approved": "on"], ["approved": "1"]] {
                bench.backend.type("!st2 inquiry answer \(id)", values: values)
                #expect(await bench.text().contains("You may not run this"))
            }
            for typed in ["approved=\"yes\"", "approved=1", "approved=TRUE"] {
                bench.backend.type("!st2 inquiry answer \(id) \(typed)")
                #expect(await bench.text().contains("You may not run this"))
            }
            #expect(await bench.stackStorm.request(count: "PUT /api/v1/inquiries/\(id)") == 0)
            #expect(
                bench.host.audit.all.contains { $0.line == "st2 inquiry answer \(id) approved=•••" && !$0.isAllowed })
            bench.backend.type("!st2 inquiry answer \(id)", values: ["approved": "no", "reason": "not today"])
            // The end of the workflow may be announced before StackStorm's answer to the request is read.
            let told = [await bench.text(), await bench.text()]
            #expect(told.contains("@alice answered fleet.deploy: approved=false reason=not today"))
            #expect(
                bench.host.audit.all.contains {
                    $0.line == "st2 inquiry answer \(id) approved=false reason=not today" && $0.isAllowed
                })
        }
    }
}
