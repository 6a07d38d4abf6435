import FaultSuite
import Foundation
import NIOPosix
import PetrelKit
import PetrelTesting
import Testing

@testable import SlackBackend

/// The cases of the Autobahn test suite, by a server from PyPI (kosoku). Compression (12 and 13) is not offered.
@Suite(.timeLimit(.minutes(5))) struct AutobahnTests {
    private static let atOnce = 8

    @Test func `every case passes`() async throws {
        let program = try await PythonTools.path(of: "kosoku")
        try await withFolder { folder in
            let server = try Program(
                ["-m", "fuzzingserver", "-x", "12.*", "-x", "13.*", "-o", folder.path, "127.0.0.1:0"], of: program,
                environment: ["PYTHONUNBUFFERED": "1"])
            let address = try #require(await server.error(with: "listening on")?.split(separator: " ").last)
            try await Self.run(String(address))
            // It ends by itself, and fails where a case did.
            let (status, _) = await server.end()
            let verdicts = try Self.verdicts("behavior", in: folder)
            let closings = try Self.verdicts("behaviorClose", in: folder).filter { $0.value != "OK" }
            #expect(status == 0, "\(closings)")
            #expect(verdicts.count == 301)
            #expect(verdicts.values.allSatisfy { ["OK", "NON-STRICT", "INFORMATIONAL"].contains($0) })
            print("Autobahn:", Dictionary(grouping: verdicts.values) { $0 }.mapValues(\.count))
        }
    }

    private static func run(_ address: String) async throws {
        var limits = WebSocket.Limits()
        limits.message = 32 << 20
        limits.silence = .seconds(60)
        let client = WebSocketClient(on: MultiThreadedEventLoopGroup.singleton.next(), limits: limits)
        func url(_ path: String) throws -> URL { try #require(URL(string: address + path)) }
        let count = Locked(0)
        _ = try await client.run(url("/getCaseCount")) { message, _ in
            if case .text(let text) = message { count.withLock { $0 = Int(text) ?? 0 } }
        }
        let cases = try (0..<count.value).map { try url("/runCase?case=\($0 + 1)&agent=petrel") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, url) in cases.enumerated() {
                if number >= atOnce { try await group.next() }
                group.addTask {
                    _ = try await client.run(url) { message, socket in try await socket.send(message) }
                }
            }
            try await group.waitForAll()
        }
        _ = try await client.run(url("/updateReports?agent=petrel")) { _, _ in }
    }

    /// How each case went, by its number.
    private static func verdicts(_ key: String, in folder: URL) throws -> [String: String] {
        let index = try JSONValue.parse(Data(contentsOf: folder.appendingPathComponent("index.json")))
        return index["petrel"]?.object?.compactMapValues { $0[key]?.string } ?? [:]
    }
}
