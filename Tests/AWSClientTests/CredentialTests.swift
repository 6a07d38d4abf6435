import Foundation
import PetrelSupport
import Testing

@testable import AWSClient

/// The shared files, the cache of credentials, the clock, and the forms of ARNs and regions.
@Suite(.timeLimit(.minutes(30))) struct CredentialTests {
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
            SharedProfiles.section(text, ["default"])
                == ["aws_access_key_id": "AKIA1", "aws_secret_access_key": "abc/+="])
        #expect(SharedProfiles.section(text, ["profile other"])?["aws_access_key_id"] == "AKIA2")
        #expect(SharedProfiles.section(text, ["spaced name"]) == ["aws_session_token": "t"])
        #expect(SharedProfiles.section(text, ["absent"]) == nil)
    }

    @Test func `the shared files may come from Windows, and names may be in quotation marks`() {
        #expect(SharedProfiles.section("\u{FEFF}[default]\r\nA = b c\r\n", ["default"]) == ["a": "b c"])
        #expect(SharedProfiles.section("[profile \"my  profile\"]\nb=1", ["profile my  profile"]) == ["b": "1"])
        #expect(SharedProfiles.section("[profile \"my profile\"]\nb=1", ["profile my profile"]) == ["b": "1"])
    }

    @Test func `without HOME, the home of the account is used`() throws {
        let home = try #require(FileManager.default.homeDirectory(forUser: NSUserName())).path
        for environment in [[:], ["HOME": ""]] { #expect(AWSEnvironment.withHome(environment) == ["HOME": home]) }
        #expect(AWSEnvironment.withHome(["HOME": "/elsewhere", "A": "b"]) == ["HOME": "/elsewhere", "A": "b"])
    }

    @Test func `endpoints of services have precedence over the common one`() throws {
        let endpoints = AWSEndpoints(["AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_STS": "https://b:8/x"])
        #expect(endpoints.url(of: "sts", in: "eu-west-2") == "https://b:8/x/")
        #expect(endpoints.url(of: "ec2", in: "eu-west-2") == "http://a/")
        #expect(try AWSEndpoints.host(of: "https://b:8/x/") == "b:8")
        #expect(try AWSEndpoints.host(of: "HTTPS://b:443/") == "b")
        for url in [
            "", "b", "ftp://b", "http://", "http://b:0", "http://b:65536", "http://b:99999/", "http://b/?x=1",
            "http://b/#f",
            "http://u@b/", "http://u:p@b/",
        ] { #expect(throws: AWSError.self, "\(url)") { _ = try AWSEndpoints.host(of: url) } }
        let regional = AWSEndpoints(["AWS_ENDPOINT_URL_EC2": "http://c/"])
        #expect(regional.url(of: "ec2", in: "eu-west-2") == "http://c/")
        #expect(regional.url(of: "sts", in: "cn-north-1") == "https://sts.cn-north-1.amazonaws.com.cn/")
    }

    @Test(arguments: [("petrel", "petrel"), ("Ops Bot/1", "Ops-Bot-1"), ("", "petrel"), ("ü", "--")])
    func `the name of a session is valid for STS`(name: String, expected: String) {
        #expect(STS.sessionName(name) == expected)
        #expect(STS.sessionName(String(repeating: "x", count: 100)).utf8.count == 64)
    }

    @Test func `a gate limits the calls at the same time, and a waiting call can be cancelled`() async throws {
        let gate = CallGate(3)
        let (full, goesOn) = (Signal(), Signal())
        let inside = Locked((now: 0, most: 0))
        try await withThrowingTaskGroup { group in
            for _ in 0..<20 {
                group.addTask {
                    try await gate.run {
                        let count = inside.withLock { inside in
                            inside.now += 1
                            inside.most = max(inside.most, inside.now)
                            return inside.now
                        }
                        if count == 3 { full.open() }
                        await goesOn.wait()
                        inside.withLock { $0.now -= 1 }
                    }
                }
            }
            await full.wait()
            let waiting = Task { try await gate.run {} }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            goesOn.open()
            try await group.waitForAll()
        }
        #expect(inside.value.most == 3 && inside.value.now == 0)
        try await gate.run {}
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
        #expect(try await get() == "1")
        while try await get() == "1" { await Task.yield() }
        #expect(try await get() == "2" && fetches.value == 2)
    }

    @Test func `credentials that are still valid are used while a renewal hangs`() async throws {
        let now = Locked<Int64>(0)
        let cache = CredentialCache<String> { now.value }
        let release = Signal()
        _ = try await cache.credentials(for: "a") { Self.issued(1, until: 250) }
        for _ in 0..<3 {
            let known = try await cache.credentials(for: "a") {
                await release.wait()
                return Self.issued(2, until: 9_000)
            }
            #expect(known.accessKeyID == "1")
        }
        // From here on, calls wait for the renewal that runs.
        now.withLock { $0 = 240 }
        async let newer = cache.credentials(for: "a") { throw AWSError(.late, "late") }
        release.open()
        #expect(try await newer.accessKeyID == "2")
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
