import Foundation
import PetrelSupport
import Testing

@testable import AWSClient

/// The shared files, the cache of credentials, the clock, and the forms of ARNs and regions.
@Suite(.timeLimit(.minutes(10))) struct CredentialTests {
    @Test func `a profile is read from the shared files`() {
        let text = """
            # a comment
            [default]
            aws_access_key_id = AKIA1
            aws_secret_access_key=abc/+=
            [profile other]
            Aws_Access_Key_Id=AKIA2\r
            s3 =
              aws_access_key_id = nested
            [ spaced  name ]
            aws_session_token = t
            """
        #expect(
            SharedProfile.section(text, ["default"])
                == ["aws_access_key_id": "AKIA1", "aws_secret_access_key": "abc/+="])
        #expect(SharedProfile.section(text, ["profile other"])["aws_access_key_id"] == "AKIA2")
        #expect(SharedProfile.section(text, ["spaced name"]) == ["aws_session_token": "t"])
        #expect(SharedProfile.section(text, ["absent"]).isEmpty)
    }

    private static func issued(_ number: Int, until expiration: Int64) -> AWSCredentials {
        AWSCredentials(accessKeyID: "\(number)", secretAccessKey: Secret("s"), expiration: expiration)
    }

    @Test func `concurrent callers share a renewal, which happens before the expiry`() async throws {
        let now = Locked<Int64>(0)
        let fetches = Locked(0)
        let cache = CredentialCache<String> { now.value }
        @Sendable func get() async throws -> String {
            try await cache.credentials(for: "a") {
                let number = fetches.withLock { fetches in
                    fetches += 1
                    return fetches
                }
                await Task.yield()
                return Self.issued(number, until: now.value + 3_600)
            }.accessKeyID
        }
        let keys = try await withThrowingTaskGroup { group in
            for _ in 0..<50 { group.addTask { try await get() } }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(keys == ["1"])
        now.withLock { $0 = 3_600 - CredentialCache<String>.margin - 1 }
        #expect(try await get() == "1")
        now.withLock { $0 += 1 }
        #expect(try await get() == "2")
    }

    @Test func `credentials that are still valid are used if the renewal fails`() async throws {
        let now = Locked<Int64>(0)
        let cache = CredentialCache<String> { now.value }
        let first = try await cache.credentials(for: "a") { Self.issued(1, until: 1_000) }
        now.withLock { $0 = 900 }
        let second = try await cache.credentials(for: "a") { throw AWSError(.late, "late") }
        #expect(first == second)
        now.withLock { $0 = 995 }
        await #expect(throws: AWSError.self) {
            _ = try await cache.credentials(for: "a") { throw AWSError(.late, "late") }
        }
        await cache.drop(first, for: "a")
        #expect(try await cache.credentials(for: "a") { Self.issued(2, until: 9_000) }.accessKeyID == "2")
    }

    @Test func `the clock follows the services, and reports each change once`() {
        let changes = Locked<[Int64]>([])
        let clock = AWSClock(local: { 784_111_777 }) { _, offset in changes.withLock { $0.append(offset) } }
        for date in ["Sun, 06 Nov 1994 08:49:50 GMT", nil, "yesterday"] { clock.note(date, from: "a") }
        #expect(clock.offset == 0 && !clock.hasMoved(since: 784_111_777, at: "a"))
        clock.note("Sun, 06 Nov 1994 10:49:37 GMT", from: "a")
        clock.note("Sun, 06 Nov 1994 10:49:39 GMT", from: "a")
        #expect(clock.hasMoved(since: 784_111_777, at: "a"))
        #expect(clock.seconds(of: "a") == 784_111_777 + 7_200 && clock.seconds(of: "b") == 784_111_777)
        clock.note("Sun, 06 Nov 1994 08:49:37 GMT", from: "a")
        #expect(changes.value == [7_200, 0] && clock.offset == 0)
    }

    @Test func `ARNs of roles and regions are recognised`() {
        let role = RoleARN("arn:aws-cn:iam::123456789012:role/ops/Petrel+Inspection")
        #expect(role?.account == "123456789012" && role?.partition.name == "aws-cn")
        #expect(role?.name == "ops/Petrel+Inspection")
        #expect(role?.description == "arn:aws-cn:iam::123456789012:role/ops/Petrel+Inspection")
        for text in [
            "", "arn:aws:iam::123456789012:user/x", "arn:aws:iam::12345678901:role/x",
            "arn:moon:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam:x:123456789012:role/x",
            "arn:aws:iam::123456789012:role/x\n", "ARN:aws:iam::123456789012:role/x",
        ] { #expect(RoleARN(text) == nil, "\(text)") }
        for region in ["us-east-1", "eu-west-2", "us-gov-west-1", "cn-north-1", "ap-southeast-5", "eusc-de-east-1"] {
            #expect(AWSPartition.isRegion(region), "\(region)")
        }
        for text in ["", "us-east", "useast1", "eu_west_2", "EU-west-2", "eu-west-2a", "-a-1", "eu--1", "london"] {
            #expect(!AWSPartition.isRegion(text), "\(text)")
        }
        #expect(AWSPartition.of(region: "cn-north-1").name == "aws-cn")
        #expect(AWSPartition.of(region: "us-gov-west-1").console == "console.amazonaws-us-gov.com")
    }
}
