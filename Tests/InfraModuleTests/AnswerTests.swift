import AWSClient
import Foundation
import PetrelKit
import PetrelSupport
import Testing

@testable import InfraModule

/// The texts, the blocks and the links of answers.
@Suite struct AnswerTests {
    private static let now = Date(timeIntervalSince1970: 1_000_000 + 93_600)

    private static func place(_ region: String, partition: String = "aws") throws -> InfraPlace {
        let arn = try #require(RoleARN("arn:\(partition):iam::111111111111:role/PetrelInspection"))
        return InfraPlace(
            account: "prod_*uction*",
            place: EC2.Place(role: AssumableRole(arn: arn), region: region, sessionRegion: region))
    }

    private static func answer(
        _ instances: [Instance], _ place: InfraPlace, _ change: (inout SearchResult) -> Void = { _ in }
    ) throws -> InfraAnswer {
        var part = PlaceResult()
        for instance in instances { part.add(instance) }
        var result = SearchResult()
        result.add(part, of: place)
        change(&result)
        return InfraAnswer(
            query: try InfraQuery("10.0.0.1"), result: result, now: now,
            searching: { "!infra search \($0)" },
            listing: "!infra accounts")
    }

    private static let full = TestAccounts.instance(1, name: "we_b*1") { instance in
        instance.tags["Environment"] = "<!channel> prod"
        instance.tags["Role"] = "web"
        instance.privateAddresses = ["10.0.0.1", "10.0.0.2"]
        instance.publicAddresses = ["203.0.113.7"]
        instance.version6Addresses = ["2001:db8::7"]
    }

    @Test func `an instance is described in Markdown, with its tags literally`() throws {
        let answer = try Self.answer([Self.full], try Self.place("eu-west-2"))
        let text = answer.reply(for: BackendTraits(markdown: true)).text
        #expect(
            text == """
                **we\\_b\\*1** (`i-00000000000000001`) is a `running` `t3.micro` in eu-west-2a
                Account: **prod\\_\\*uction\\*** (111111111111), region eu-west-2
                Environment: \\<!channel> prod
                Role: web
                Private: 10.0.0.1, 10.0.0.2
                Public: 203.0.113.7
                IPv6: 2001:db8::7
                Launched: 1 d 2 h ago (1970-01-12T13:46:40Z)
                [Console](https://console.aws.amazon.com/ec2/home?region=eu-west-2#InstanceDetails:instanceId=i-00000000000000001) · [Configuration timeline](https://console.aws.amazon.com/config/home?region=eu-west-2#/resources/timeline?resourceId=i-00000000000000001&resourceType=AWS%3A%3AEC2%3A%3AInstance)
                """)
    }

    @Test func `where each line is a message, the answer has few lines`() throws {
        let traits = BackendTraits(maximumLines: 10)
        let one = try Self.answer([Self.full], try Self.place("eu-west-2")).reply(for: traits).text
        let lines = one.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 3 && lines[0].hasPrefix("we_b*1 (i-") && lines[2].hasPrefix("Console: "), "\(one)")
        #expect(lines[1].hasPrefix("Account: prod_*uction* (111111111111), region eu-west-2 · Environment: "))
        #expect(lines[1].contains(" · Private: 10.0.0.1, 10.0.0.2 · ") && lines[1].contains(" · Launched: "))
        let place = try Self.place("eu-west-2")
        let many = try Self.answer((1...30).map { TestAccounts.instance($0, name: "n\($0)") }, place) { result in
            result.failures = (0..<5).map { (place, AWSError(.late, "late \($0)")) }
        }
        let list = many.reply(for: traits).text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(list.count == 7, "\(list)")
        #expect(list[0].hasPrefix("30 instances, of which the first 5 follow. Add a word to narrow the search"))
        #expect(list[6].hasPrefix("Not searched: ") && list[6].hasSuffix("… and 2 more; see !infra accounts"))
    }

    @Test func `empty tags are not shown, and names with spaces at their ends are not bold`() throws {
        let odd = TestAccounts.instance(1, name: " web ") { $0.tags["Environment"] = "" }
        let text = try Self.answer([odd], try Self.place("eu-west-2")).reply(for: BackendTraits(markdown: true)).text
        #expect(text.hasPrefix(" web  (`i-") && !text.contains("Environment"), "\(text)")
    }

    @Test func `a name with invisible characters is shown with a query that finds it`() throws {
        let hidden = TestAccounts.instance(1, name: "we\u{200B}b")
        for (traits, line) in [
            (BackendTraits(), "Name as a query: name:we?b"),
            (BackendTraits(markdown: true), "Name as a query: `name:we?b`"),
        ] {
            let text = try Self.answer([hidden], try Self.place("eu-west-2")).reply(for: traits).text
            #expect(text.split(separator: "\n").contains { $0 == line }, "\(text)")
        }
    }

    @Test(arguments: [
        ("eu-west-2", "aws", "https://console.aws.amazon.com/ec2/home?region=eu-west-2#"),
        ("cn-north-1", "aws-cn", "https://console.amazonaws.cn/ec2/home?region=cn-north-1#"),
        ("us-gov-west-1", "aws-us-gov", "https://console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#"),
    ]) func `links lead to the region and the partition`(region: String, partition: String, start: String) throws {
        let place = try Self.place(region, partition: partition)
        let links = try #require(ConsoleLinks(InfraHit(instance: Self.full, place: place)))
        #expect(links.instance.hasPrefix(start))
        #expect(links.timeline.hasPrefix(start.replacing("/ec2/", with: "/config/")))
        #expect(ConsoleLinks(InfraHit(instance: Instance(id: "x|y"), place: place)) == nil)
    }

    @Test func `Slack gets blocks within its limits, and no mention`() throws {
        let many = (1...60).map { number in
            TestAccounts.instance(number, name: String(repeating: "n", count: 250)) { $0.tags["Role"] = "x" }
        }
        for instances in [[Self.full], many, []] {
            let answer = try Self.answer(instances, try Self.place("eu-west-2")) { result in
                result.remembered = (.seconds(12), 1)
                let late = AWSError(.late, "EC2 gave <no> answer")
                result.failures = [(result.searched[0], late)]
            }
            let blocks = try #require(answer.reply(for: BackendTraits(mrkdwn: true)).extra["slack"]?["blocks"]?.array)
            #expect((1...50).contains(blocks.count))
            for block in blocks {
                let texts = [block["text"]] + (block["fields"]?.array ?? []) + (block["elements"]?.array ?? [])
                for text in texts.compactMap({ $0?["text"]?.string }) {
                    #expect((1...3_000).contains(text.unicodeScalars.count))
                    #expect(!text.contains("<!"))
                }
            }
        }
    }

    @Test func `on Slack an answer is one message, and nothing is cut without a mark`() throws {
        let many = (1...60).map { TestAccounts.instance($0, name: String(repeating: "n", count: 250)) }
        let wide = TestAccounts.instance(1) { instance in
            instance.privateAddresses = (0..<200).map { "10.0.\($0).255" }
        }
        for instances in [many, [wide]] {
            let answer = try Self.answer(instances, try Self.place("eu-west-2")) { result in
                result.failures = (0..<10).map { number in
                    (result.searched[0], AWSError(.late, "reason \(number) " + String(repeating: "x", count: 380)))
                }
            }
            let reply = answer.reply(for: BackendTraits(mrkdwn: true, maximumLength: 3_000))
            #expect(reply.text.unicodeScalars.count <= 2_400 && reply.text.hasSuffix(" …"))
            let blocks = try #require(reply.extra["slack"]?["blocks"]?.array)
            let texts = blocks.flatMap { ($0["elements"]?.array ?? []) + ($0["fields"]?.array ?? []) }
                .compactMap { $0["text"]?.string }
            let all = texts.joined(separator: "\n")
            for number in 0..<10 { #expect(all.contains("reason \(number) ")) }
            #expect(texts.allSatisfy { $0.unicodeScalars.count <= 2_000 })
            #expect(
                instances.count > 1 || texts.contains { $0.hasPrefix("*Private*\n10.0.0.255, ") && $0.hasSuffix(" …") })
        }
    }

    @Test func `a list shows the addresses that were asked for`() throws {
        let both = (1...2).map { number in
            TestAccounts.instance(number) { instance in
                instance.privateAddresses = ["10.9.9.\(number)", "10.0.0.1"]
                instance.version6Addresses = ["2001:db8::1"]
            }
        }
        let text = try Self.answer(both, try Self.place("eu-west-2")).reply(for: BackendTraits()).text
        #expect(text.contains("· prod_*uction* · 10.0.0.1\n") && !text.contains("10.9.9"), "\(text)")
        let unknown = try Self.answer([Instance(id: "i-0123abcd")], try Self.place("eu-west-2"))
        #expect(unknown.reply(for: BackendTraits()).text.hasPrefix("i-0123abcd is an unknown instance\n"))
    }

    @Test(arguments: [
        ("web-2", "web-10"), ("web-02", "web-3"), ("a", "b"), ("a", "a1"), ("a1", "a1a"), ("Z", "a"),
        ("web-01", "web-1"),
        ("1", "a"), ("a99999999999999999999999", "a100000000000000000000000"), ("", "a"),
    ]) func `names are in the order in which a person counts`(left: String, right: String) {
        #expect(NaturalOrder.precedes(left, right) && !NaturalOrder.precedes(right, left))
        #expect(!NaturalOrder.precedes(left, left))
    }

    @Test func `of many accounts some are listed, and regions in the same state share a line`() async throws {
        let settings = try TestAccounts.settings(
            (1...40).map {
                ("account-\($0)", String(repeating: "1", count: 10) + "\($0 + 10)", ["eu-west-2", "eu-west-1"])
            })
        let search = InfraSearch(
            settings, meters: TestAccounts.meters, logger: TestAccounts.silent,
            prepare: { place, _ in if place.role.arn.account.hasSuffix("50") { throw AWSError(.denied, "denied") } },
            describe: { _, _, _, _ in })
        await search.prepareAll()
        func lines(_ part: String) -> [String] {
            AccountsAnswer(search: search, clockOffset: 0, now: .now, part: part, listing: { "!infra accounts \($0)" })
                .reply(for: BackendTraits()).text.components(separatedBy: "\n")
        }
        let all = lines("")
        #expect(all.count == 61 && all[0] == "account-40 (111111111150, role PetrelInspection)")
        #expect(all[1].hasPrefix("• eu-west-2, eu-west-1: no good answer yet; last error"))
        #expect(all[3] == "• eu-west-2, eu-west-1: ready, not searched yet")
        #expect(all[60] == "… and 10 more accounts. For a part of them: !infra accounts WORD")
        #expect(lines("ACCOUNT-7").count == 2 && lines("11150")[0].hasPrefix("account-40"))
        #expect(lines("x*") == ["No account has x* in its name or number."])
    }

    @Test func `the age of remembered results is shown`() throws {
        let place = try Self.place("eu-west-2")
        let whole = try Self.answer([Self.full], place) { $0.remembered = (.seconds(12), 1) }
        #expect(whole.reply(for: BackendTraits()).text.hasSuffix("\n\nAs seen 12 s ago."))
        let part = try Self.answer([Self.full], place) { result in
            result.remembered = (.seconds(12), 1)
            result.failures = [(place, AWSError(.late, "late"))]
        }
        #expect(part.reply(for: BackendTraits()).text.contains("\n\nIn part as seen 12 s ago.\n\nNot searched:\n"))
    }

    @Test func `accounts that failed for the same reason share a line, and ten lines are shown`() throws {
        let places = try (1...12).map { number in
            var place = try Self.place("eu-west-\(number % 9 + 1)")
            place.account = "a\(number / 2)"
            return place
        }
        let answer = try Self.answer([], places[0]) { result in
            result.failures = places.enumerated().map { ($1, AWSError(.late, $0 < 4 ? "late" : "late \($0)")) }
        }
        let text = answer.reply(for: BackendTraits()).text
        #expect(text.contains("• a0 (eu-west-2), a1 (eu-west-3, eu-west-4), a2 (eu-west-5): late\n"))
        #expect(!text.contains("more; see"))
        let many = try Self.answer([], places[0]) { result in
            result.failures = (0..<24).map { (places[$0 % 12], AWSError(.late, "late \($0 / 2)")) }
        }
        #expect(many.reply(for: BackendTraits()).text.hasSuffix("… and 2 more; see !infra accounts"))
        let same = try Self.answer([], places[0]) { result in
            result.failures = places.map { ($0, AWSError(.late, "late")) }
        }
        let line = same.reply(for: BackendTraits()).text.components(separatedBy: "\n").last
        #expect(
            line == "• a0 (eu-west-2), a1 (eu-west-3, eu-west-4), a2 (eu-west-5, eu-west-6) and 4 more accounts: late")
    }
}
