import AsyncHTTPClient
import FaultSuite
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import InfraModule

/// The simulated STS and EC2 of `aws_stand_in.py`.
final class AWSStandIn: Sendable {
    private let program: Program
    let url: String

    private init(_ program: Program, _ url: String) {
        self.program = program
        self.url = url
    }

    /// Runs the services, with TLS if there is a certificate.
    static func with(
        _ certificate: SelfSigned? = nil, _ body: @Sendable (AWSStandIn) async throws -> Void
    ) async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "aws_stand_in.py")
        let program = try await Program(
            [script.path] + (certificate.map { [$0.certificate, $0.key] } ?? []), of: PythonTools.path(of: "python3"))
        let line = try #require(await program.line(with: "listening on"))
        let standIn = AWSStandIn(program, String(try #require(line.split(separator: " ").last)))
        defer { program.signal(SIGKILL) }
        try await body(standIn)
    }

    /// The environment with the keys of the hub.
    var environment: [String: String] {
        [
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIDHUB", "AWS_SECRET_ACCESS_KEY": "hub-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        ]
    }

    func order(_ rules: JSONValue) async throws { _ = try await request("control", rules) }

    /// Returns the calls since the last time.
    func calls() async throws -> [JSONValue] { try await request("log?clear")["calls"]?.array ?? [] }

    /// A client that is patient, because a busy machine may take long to accept a connection.
    private static let client = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .init(timeout: .init(connect: .minutes(4))))

    private func request(_ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
        var request = HTTPClientRequest(url: "\(url)/\(path)")
        request.method = body == nil ? .GET : .POST
        if let body { request.body = .bytes(ByteBuffer(bytes: try JSONValue.encode(body) as [UInt8])) }
        let response = try await Self.client.execute(request, timeout: .minutes(4))
        let bytes = try await response.body.collect(upTo: 64 << 20)
        return try JSONValue.parse(Array(bytes.readableBytesView))
    }

    /// Runs a bot with the module.
    static func chat(
        _ settings: InfraSettings, on backend: RecordingBackend = RecordingBackend(), logger: Logger? = nil,
        now: @escaping @Sendable () -> Date = { .now }, _ body: @Sendable (RecordingBackend) async throws -> Void
    ) async throws {
        try await TestHost([backend], logger: logger).run({ host in
            [try InfraModule(settings, host: host.access(for: "infra"), now: now)]
        }) { try await body(backend) }
    }
}

extension AWSStandIn {
    /// Returns an answer with instances.
    static func answer(_ instances: String..., next: String? = nil) -> JSONValue { answer(instances, next: next) }

    /// Returns an answer with instances, and the token of the next page.
    static func answer(_ instances: [String], next: String?) -> JSONValue {
        let items = instances.map { "<item><instancesSet><item>\($0)</item></instancesSet></item>" }.joined()
        let token = next.map { "<nextToken>\($0)</nextToken>" } ?? ""
        return .string(
            "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>"
                + "<reservationSet>\(items)</reservationSet>\(token)</DescribeInstancesResponse>")
    }

    static func instance(_ id: String, name: String = "web-1", _ more: String = "") -> String {
        "<instanceId>\(id)</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name>"
            + "</instanceState><instanceType>t3.micro</instanceType><launchTime>2026-01-01T00:00:00.000Z</launchTime>"
            + "<placement><availabilityZone>eu-west-2a</availabilityZone></placement><tagSet><item><key>Name</key>"
            + "<value>\(name)</value></item></tagSet>\(more)"
    }
}
