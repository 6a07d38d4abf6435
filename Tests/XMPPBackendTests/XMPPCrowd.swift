import FaultSuite
import Foundation
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// A server with accounts for many stages, and the clients of their people: drives crowd.py.
final class XMPPCrowd: Sendable {
    /// The crowd of the running suite.
    @TaskLocal static var current: XMPPCrowd?

    let server: XMPPServer
    private let program: Program
    private let listeners = Locked<[String: @Sendable (JSONValue) -> Void]>([:])
    private let count = Locked(0)

    private init(_ server: XMPPServer, _ program: Program) {
        self.server = server
        self.program = program
    }

    /// Runs the body with accounts for this number of stages.
    static func run(_ stages: Int, _ body: @Sendable (XMPPCrowd) async throws -> Void) async throws {
        try await XMPPServer.run(crowd: stages) { server in
            let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("crowd.py")
            let program = try await Program(
                ["-W", "ignore", script.path, "\(server.port)", server.certificate.certificate],
                of: PythonTools.path(of: "python3"))
            defer { program.signal(SIGKILL) }
            let crowd = XMPPCrowd(server, program)
            let reading = Task { try await crowd.read() }
            defer { reading.cancel() }
            try await body(crowd)
        }
    }

    /// Passes events to the listeners.
    private func read() async throws {
        while let line = await program.line() {
            let event = try JSONValue.parse(line.utf8)
            guard let listener = listeners.value[event["who"]?.string ?? ""] else { continue }
            listener(event)
        }
        let problem = await program.error(with: "") ?? ""
        for listener in listeners.value.values { listener(["problem": .string("crowd.py exited: \(problem)")]) }
    }

    /// Returns the number of a new stage, whose accounts are `petrelN`, `aliceN` and `bobN`.
    func nextNumber() -> Int {
        count.withLock {
            $0 += 1; return $0
        }
    }

    /// Sets the closure that is called with each event of a person; nil to ignore them.
    func listen(to person: String, _ listener: (@Sendable (JSONValue) -> Void)?) {
        listeners.withLock { $0[person] = listener }
    }

    /// Gives an order to the client of a person.
    func order(_ what: String, _ person: String, _ more: [String: JSONValue] = [:]) throws {
        let order = JSONValue.object(more.merging(["do": .string(what), "who": .string(person)]) { _, new in new })
        let bytes: [UInt8] = try JSONValue.encode(order)
        // One after the other: a long line is written in parts.
        listeners.withLock { _ in program.type(String(decoding: bytes, as: UTF8.self)) }
    }
}

/// Runs a server and clients for the time of a suite.
struct XMPPCrowdTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await XMPPCrowd.run(BackendConformance.cases.count) { crowd in
            try await XMPPCrowd.$current.withValue(crowd) { try await function() }
        }
    }
}

extension Trait where Self == XMPPCrowdTrait {
    static var crowd: Self { Self() }
}
