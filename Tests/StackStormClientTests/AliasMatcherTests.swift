import PetrelKit
import PetrelSupport
import Testing

@testable import StackStormClient

@Suite struct AliasMatcherTests {
    private static func alias(_ ref: String, _ formats: [Alias.Format], isEnabled: Bool = true) -> Alias {
        let parts = ref.split(separator: ".")
        return Alias(id: ref, name: String(parts[1]), pack: String(parts[0]), enabled: isEnabled, formats: formats)
    }

    private static func format(_ text: String, isMultiple: Bool = false) -> Alias.Format {
        Alias.Format(display: text, representations: [text], matchesMultiple: isMultiple)
    }

    private static func recorded() throws -> [Alias] {
        try Endpoint.aliases(limit: -1).decode(RecordedExchange.named("alias_list_limit_minus1").response).items
    }

    @Test func `finds the alias that StackStorm found`() throws {
        let matcher = AliasMatcher(try Self.recorded())
        for exchange in RecordedExchange.all where exchange.name.hasPrefix("match_") && exchange.response.status == 200
        {
            let body = try JSONValue.parse(exchange.requestBody)
            guard let command = body["command"]?.string else { continue }
            let expected = try JSONValue.parse(exchange.response.body)
            guard case .one(let match) = matcher.match(command) else {
                Issue.record("\(exchange.name): “\(command)” gives \(matcher.match(command))")
                continue
            }
            #expect(match.alias.ref == expected["actionalias"]?["ref"]?.string, "\(exchange.name)")
            #expect(match.representation == expected["representation"]?.string, "\(exchange.name)")
        }
    }

    @Test func `rejects the commands that StackStorm rejected`() throws {
        let matcher = AliasMatcher(try Self.recorded())
        for exchange in RecordedExchange.all where exchange.name.hasPrefix("match_") && exchange.response.status == 400
        {
            let fault = try JSONValue.parse(exchange.response.body)["faultstring"]?.string ?? ""
            guard let command = (try? JSONValue.parse(exchange.requestBody))?["command"]?.string else { continue }
            switch matcher.match(command) {
            case .none: #expect(fault.hasSuffix("matched no patterns"), "\(exchange.name)")
            case .ambiguous: #expect(fault.hasSuffix("matched more than 1 pattern"), "\(exchange.name)")
            case let other: Issue.record("\(exchange.name): \(other)")
            }
        }
    }

    @Test func `an invalid format is reported and does not affect others`() {
        let matcher = AliasMatcher([
            Self.alias("a.bad", [Self.format("bad ( {{ x }}")]), Self.alias("a.good", [Self.format("good {{ x }}")]),
        ])
        #expect(matcher.problems.map(\.ref) == ["a.bad"])
        guard case .one(let match) = matcher.match("good y") else {
            Issue.record("no match")
            return
        }
        #expect(match.alias.ref == "a.good")
        #expect(matcher.match("bad ( y") == .none)
    }

    @Test func `a format that only StackStorm can match gives an unknown outcome`() {
        let matcher = AliasMatcher([Self.alias("a.back", [Self.format(#"(?P<x>\w+) and (?P=x)"#)])])
        #expect(matcher.match("anything") == .unknown)
    }

    @Test func `formats for one match take precedence over formats for several matches`() {
        let matcher = AliasMatcher([
            Self.alias("a.one", [Self.format("show {{ x }}")]),
            Self.alias("a.many", [Self.format("show {{ y }}", isMultiple: true)]),
        ])
        guard case .one(let match) = matcher.match("show 1") else {
            Issue.record("no match")
            return
        }
        #expect(match.alias.ref == "a.one")
    }

    @Test func `disabled aliases do not match`() {
        let matcher = AliasMatcher([Self.alias("a.off", [Self.format("off")], isEnabled: false)])
        #expect(matcher.match("off") == .none)
    }

    @Test func `a hostile line is matched in linear time`() {
        // The time limit is in Benchmarks; here the match must only end. A naive matcher needs 10^13 steps.
        let matcher = AliasMatcher([Self.alias("a.run", [Self.format("run {{a}} {{b}} {{c}} end")])])
        #expect(matcher.match("run " + String(repeating: "x ", count: 20_000)) == .none)
        let braces = String(repeating: "a={ ", count: 10_000)
        #expect(matcher.match("run \(braces)") == .none)
    }
}
