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

    @Test func `regions that failed for the same reason share a line, and ten lines are shown`() throws {
        let places = try (1...12).map { number in
            var place = try Self.place("eu-west-\(number % 9 + 1)")
            place.account = "a\(number / 2)"
            return place
        }
        let answer = try Self.answer([], places[0]) { result in
            result.failures = places.enumerated().map { ($1, AWSError(.late, $0 < 4 ? "late" : "late \($0)")) }
        }
        let text = answer.reply(for: BackendTraits()).text
        #expect(text.contains("• a1 (eu-west-3, eu-west-4): late\n"))
        #expect(text.hasSuffix("… and 1 more; see !infra accounts"))
    }
}
