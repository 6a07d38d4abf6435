import Foundation
import Logging
import PetrelSupport
import StackStormClient

/// A program that uses StackStormClient as another package does: it uses nothing that is not public.
struct ChatCommand: Sendable {
    struct NoResult: Error {}

    let client: StackStormClient
    /// Returns once StackStorm has changed more often than a count, with the new count.
    private let nextChange: @Sendable (_ after: Int) async -> Int

    init(
        port: Int, user: String, password: String, nextChange: @escaping @Sendable (_ after: Int) async -> Int
    ) throws {
        self.nextChange = nextChange
        let base = "http://127.0.0.1:\(port)"
        guard let auth = URL(string: "\(base)/auth/v1"), let api = URL(string: "\(base)/api/v1"),
            let stream = URL(string: "\(base)/stream/v1")
        else { throw NoResult() }
        let settings = StackStormSettings(
            auth: auth, api: api, stream: stream, login: .password(name: user, password: Secret(password)))
        client = try StackStormClient(settings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Runs a command and waits for the announcement of its result.
    /// - Parameter meanwhile: called with the execution as soon as it was requested.
    func run(_ command: String, meanwhile: (Execution) async throws -> Void = { _ in }) async throws -> String {
        let stream = EventStream(client, events: ["st2.announcement__docs"])
        let (announcements, continuation) = AsyncStream.makeStream(of: Announcement.self)
        let connected = Signal()
        let following = Task {
            await stream.run { _ in
                connected.open()
            } handle: { event in
                if let announcement = event.announcement { continuation.yield(announcement) }
            }
        }
        defer { following.cancel() }
        // A result that is announced before the stream is connected would be missed.
        await connected.wait()
        let match = try await client.match(command)
        let request = UUID().uuidString
        let run = AliasRun(
            name: match.alias.name, format: match.representation, command: command, user: "ann", channel: "#ops",
            route: "docs", context: ["request": .string(request)])
        let started = try await client.run(run)
        try await meanwhile(started.execution)
        for await announcement in announcements where announcement.context?["request"]?.string == request {
            return announcement.text
        }
        throw NoResult()
    }

    /// Waits for the first inquiry and responds to it.
    func approve() async throws {
        var seen = 0
        while true {
            if let inquiry = try await client.inquiries().first {
                return try await client.answer(inquiry: inquiry.id, with: ["approved": true])
            }
            seen = await nextChange(seen)
        }
    }

    /// Waits until an execution has finished.
    func end(of id: String) async throws -> Execution {
        var seen = 0
        while true {
            let execution = try await client.execution(id)
            if execution.isFinished { return execution }
            seen = await nextChange(seen)
        }
    }
}
