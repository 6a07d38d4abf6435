import PetrelKit
import PetrelSupport

/// A backend that runs without a host. It is run again after a failure, like the host does, but at once.
final class DirectRun: Sendable {
    /// The time limit for events.
    static var patience: Duration { ConformancePatience.limit }
    /// The time limit for the end of a cancelled backend. A backend should need less than a second; the report states
    /// the time.
    static let stopPatience = Duration.seconds(10)

    private let messages: AsyncStream<ChatMessage>
    private let task: Task<Void, Never>
    private let isOver = Signal()
    private let failures = Locked<[String]>([])

    /// Starts the backend.
    /// - Parameter gate: a signal that the delivery of each message waits for; nil to deliver at once.
    init(_ backend: any ChatBackend, gate: Signal? = nil) {
        let (messages, continuation) = AsyncStream.makeStream(of: ChatMessage.self)
        self.messages = messages
        task = Task { [isOver, failures] in
            defer { isOver.open() }
            var policy = Backoff(first: .milliseconds(20), longest: .seconds(1))
            var random = SystemRandomNumberGenerator()
            while !Task.isCancelled {
                do {
                    try await backend.run { message in
                        await gate?.wait()
                        continuation.yield(message)
                    }
                    return
                } catch {
                    failures.withLock { $0.append("\(error)") }
                    if (error as? BackendFailure)?.isFinal == true { return }
                    do { try await Task.sleep(for: policy.pause(using: &random)) } catch { return }
                }
            }
        }
    }

    /// Returns the next message that the backend delivers.
    func next(file: StaticString = #fileID, line: UInt = #line) async throws -> ChatMessage {
        let message = try await withDeadline(
            Self.patience, "a message that the backend delivers", file: file, line: line
        ) { [messages] in
            for await message in messages { return Optional(message) }
            return nil
        }
        guard let message else { throw CancellationError() }
        return message
    }

    /// Returns an error with the latest failure of the backend, if there is one.
    func explained(_ error: any Error) -> any Error {
        guard var failure = error as? ConformanceFailure, let problem = failures.value.last else { return error }
        failure.got += "; the backend failed: \(problem)"
        return failure
    }

    /// Cancels the backend, and returns the time until it has ended.
    @discardableResult
    func stop(file: StaticString = #fileID, line: UInt = #line) async throws -> Duration {
        let start = ContinuousClock.now
        task.cancel()
        try await withDeadline(Self.stopPatience, "the end of `run` after cancellation", file: file, line: line) {
            [isOver] in await isOver.wait()
        }
        return ContinuousClock.now - start
    }
}
