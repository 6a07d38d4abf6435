import Foundation
import NIOCore
import PetrelSupport
import Testing
import XMLStream

@testable import AWSClient

/// Reading of answers.
@Suite struct AnswerTests {
    private static let instances = """
        <?xml version="1.0" encoding="UTF-8"?>
        <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
            <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
            <reservationSet>
                <item><reservationId>r-1</reservationId><groupSet/><instancesSet>
                    <item>
                        <instanceId>i-1234567890abcdef0</instanceId><imageId>ami-bff32ccc</imageId>
                        <instanceState><code>16</code><name>running</name></instanceState>
                        <privateDnsName>ip-192-168-1-88.eu-west-1.compute.internal</privateDnsName>
                        <dnsName>ec2-203-0-113-25.eu-west-1.compute.amazonaws.com</dnsName>
                        <instanceType>t2.micro</instanceType><launchTime>2018-05-08T16:46:19.000Z</launchTime>
                        <placement><availabilityZone>eu-west-1c</availabilityZone><tenancy>default</tenancy></placement>
                        <privateIpAddress>192.168.1.88</privateIpAddress><ipAddress>203.0.113.25</ipAddress>
                        <tagSet><item><key>Name</key><value>Server_1 &amp; &lt;2&gt;</value></item>
                            <item><key>Empty</key><value/></item></tagSet>
                        <networkInterfaceSet><item>
                            <privateIpAddress>192.168.1.88</privateIpAddress>
                            <association><publicIp>203.0.113.25</publicIp></association>
                            <privateIpAddressesSet>
                                <item><privateIpAddress>192.168.1.88</privateIpAddress><primary>true</primary></item>
                                <item><privateIpAddress>192.168.1.99</privateIpAddress><primary>false</primary>
                                    <association><publicIp>203.0.113.26</publicIp></association></item>
                            </privateIpAddressesSet>
                            <ipv6AddressesSet><item><ipv6Address>2001:db8:1234:1a2b::123</ipv6Address></item>
                            </ipv6AddressesSet>
                        </item></networkInterfaceSet>
                    </item>
                    <item><instanceId>i-2</instanceId></item>
                </instancesSet></item>
                <item><instancesSet><item><instanceId>i-3</instanceId>
                    <networkInterfaceSet><item><association/></item></networkInterfaceSet></item></instancesSet></item>
            </reservationSet>
            <nextToken>next+/=</nextToken>
        </DescribeInstancesResponse>
        """

    private static func page(
        _ text: String, piece: Int = .max
    ) throws -> (instances: [Instance], next: String?, isComplete: Bool) {
        var answer = QueryAnswer(status: 200, level: 2)
        let instances = Locked<[Instance]>([])
        let reading = EC2.reading(EC2.Receiver { instance in instances.withLock { $0.append(instance) } })
        var next = reading.initial
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            for element in try answer.feed(ByteBuffer(bytes: rest.prefix(piece))) {
                try reading.take(&next, element)
            }
            rest = rest.dropFirst(piece)
        }
        return (instances.value, next, answer.isComplete)
    }

    @Test(arguments: [1, 3, 1_000, .max]) func `instances are read, however the answer is split`(piece: Int) throws {
        let page = try Self.page(Self.instances, piece: piece)
        #expect(page.isComplete && page.next == "next+/=")
        #expect(page.instances.map(\.id) == ["i-1234567890abcdef0", "i-2", "i-3"])
        let first = try #require(page.instances.first)
        #expect(first.state == "running" && first.type == "t2.micro" && first.zone == "eu-west-1c")
        #expect(first.name == "Server_1 & <2>" && first.tags["Empty"] == "")
        #expect(first.launched == 1_525_797_979)
        #expect(first.privateAddresses == ["192.168.1.88", "192.168.1.99"])
        #expect(first.publicAddresses == ["203.0.113.25", "203.0.113.26"])
        #expect(first.version6Addresses == ["2001:db8:1234:1a2b::123"])
        #expect(page.instances[2].publicAddresses == [] && page.instances[1].state == "unknown")
    }

    @Test func `an answer that ends early is not complete`() throws {
        let page = try Self.page(String(Self.instances.dropLast(10)))
        #expect(!page.isComplete)
    }

    @Test(arguments: [
        "<Response><Errors><Error><Code>AuthFailure</Code><Message>m</Message></Error></Errors></Response>",
        "<ErrorResponse><Errors><Error><Code>AuthFailure</Code><Message>m</Message></Error></Errors></ErrorResponse>",
        "<ErrorResponse><Error><Type>Sender</Type><Code>AuthFailure</Code><Message>m</Message></Error></ErrorResponse>",
    ]) func `the code and the message of an error are found in every envelope`(text: String) throws {
        for level in [1, 2] {
            var answer = QueryAnswer(status: 401, level: level)
            #expect(try answer.feed(ByteBuffer(string: text)).isEmpty)
            let (code, message) = (answer.awsCode, answer.message)
            #expect(code == "AuthFailure" && message == "m")
        }
    }

    @Test func `HTML and large answers are rejected`() throws {
        var html = QueryAnswer(status: 200, level: 2)
        #expect(throws: StanzaParser.Failure.self) { _ = try html.feed(ByteBuffer(string: "<!DOCTYPE html><html>")) }
        var large = QueryAnswer(status: 200, level: 2)
        _ = try large.feed(ByteBuffer(string: "<DescribeInstancesResponse><reservationSet>"))
        let part = ByteBuffer(string: String(repeating: "<item><a>text</a></item>", count: 40_000))
        let error = #expect(throws: AWSError.self) {
            while true { _ = try large.feed(part) }
        }
        #expect(error?.code == .tooLarge)
    }

    @Test func `errors of STS that have nothing to do with the role do not blame it`() throws {
        let request = RoleRequest(role: AssumableRole(arn: try #require(RoleARN("arn:aws:iam::111111111111:role/x"))))
        for (status, code, clause) in [
            (403, "AccessDenied", "the role x may not be assumed (AccessDenied): check"),
            (400, "ValidationError", "the role x may not be assumed (ValidationError): check"),
            (407, nil, "STS does not accept the request (status 407)"), (403, nil, "STS denies access (status 403)"),
            (404, nil, "STS does not accept the request (status 404)"),
            (403, "RegionDisabledException", "STS is not active in the region for the account of the bot (Region"),
        ] as [(Int, String?, String)] {
            let error = AWSError(status: status, awsCode: code, message: "m", service: "sts").assuming(request.role)
            #expect(error.clause.hasPrefix(clause), "\(error.clause)")
        }
    }

    @Test(
        arguments: [
            (503, nil, AWSError.Code.throttled), (503, "RequestLimitExceeded", .throttled),
            (400, "Throttling", .throttled),
            (500, nil, .failed), (403, "UnauthorizedOperation", .denied), (403, "AccessDenied", .denied),
            (403, nil, .denied),
            (401, "AuthFailure", .signature), (403, "SignatureDoesNotMatch", .signature),
            (403, "InvalidClientTokenId", .unknownKey), (400, "RequestExpired", .expired), (400, "Other", .query),
            (400, nil, .refused), (302, nil, .refused), (403, "RegionDisabledException", .disabled),
        ] as [(Int, String?, AWSError.Code)])
    func `errors are classified, and messages about signatures are not shown`(
        status: Int, code: String?, expected: AWSError.Code
    ) {
        let error = AWSError(status: status, awsCode: code, message: "x-amz-security-token:SECRET", service: "ec2")
        #expect(error.code == expected)
        #expect(error.clause.contains("SECRET") == [.refused, .query].contains(expected))
        #expect(code != nil || error.clause.contains("status \(status)"), "\(error.clause)")
    }
}
