import FaultSuite
import Foundation
import PetrelSupport
import PetrelTesting
import Testing

/// Slack meets the requirements for backends, over its stand-in.
@Suite(.timeLimit(.minutes(30)), .workspaces) struct SlackConformanceTests {
    static let recorder = ConformanceRecorder("slack")

    @Test(arguments: BackendConformance.cases) func `the Slack backend conforms`(item: ConformanceCase) async throws {
        let workspaces = try #require(Workspaces.current)
        let skip = try await Self.recorder.check(item) { body in
            try await workspaces.withWorkspace { workspace in
                try await SlackStage.run(workspace) { stage in try await body(stage) }
            }
        }
        if let skip { try Test.cancel("\(skip)") }
    }
}

/// A program that starts workspaces, which share nothing.
final class Workspaces: Sendable {
    /// The workspaces of the running suite.
    @TaskLocal static var current: Workspaces?

    private let program: Program
    private let waiting = Locked<[AsyncStream<String>.Continuation]>([])

    private init(_ program: Program) { self.program = program }

    static func run(_ body: @Sendable (Workspaces) async throws -> Void) async throws {
        let program = try await Workspace.start(["--many"])
        defer { program.signal(SIGKILL) }
        let workspaces = Workspaces(program)
        let reading = Task { await workspaces.read() }
        defer { reading.cancel() }
        try await body(workspaces)
    }

    /// Passes the addresses of new workspaces to those who wait for one.
    private func read() async {
        while let line = await program.line() {
            guard let address = Workspace.address(in: line) else { continue }
            waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() }?.yield(address)
        }
        for one in waiting.value { one.finish() }
    }

    /// Starts a workspace, and ends it after the body.
    func withWorkspace(_ body: (Workspace) async throws -> Void) async throws {
        let (addresses, continuation) = AsyncStream.makeStream(of: String.self)
        waiting.withLock { $0.append(continuation) }
        program.type("new")
        var iterator = addresses.makeAsyncIterator()
        let workspace = Workspace(try #require(await iterator.next(), "the stand-in did not start"))
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(workspace))
        } catch {
            result = .failure(error)
        }
        // It exits without an answer.
        _ = try? await workspace.order("exit")
        try result.get()
    }
}

/// Runs the program for the time of a suite.
struct WorkspacesTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await Workspaces.run { workspaces in
            try await Workspaces.$current.withValue(workspaces) { try await function() }
        }
    }
}

extension Trait where Self == WorkspacesTrait {
    static var workspaces: Self { Self() }
}
