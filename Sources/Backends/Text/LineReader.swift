import Foundation
import PetrelKit
import PetrelSupport

/// Reads lines from standard input on a dedicated thread and converts them to messages. The thread stays at most 256
/// messages ahead of the consumer.
enum LineReader {
    /// The result of converting one line.
    enum Outcome: Sendable {
        case message(ChatMessage)
        case nothing
        case end
    }

    private static let ahead = 256

    /// Returns the messages until `convert` returns `.end` or the input ends.
    static func messages(_ convert: @escaping @Sendable (String) -> Outcome) -> AsyncStream<ChatMessage> {
        // Signaled in a loop: releasing a semaphore whose value is below its initial value terminates the process.
        let room = DispatchSemaphore(value: 0)
        for _ in 0..<ahead { room.signal() }
        let isOver = Locked(false)
        let (stream, continuation) = AsyncStream.makeStream(of: ChatMessage.self)
        continuation.onTermination = { _ in
            isOver.withLock { $0 = true }
            room.signal()
        }
        Thread.detachNewThread {
            var input = LineBuffer()
            reading: while !isOver.value, let line = input.next() {
                switch convert(line) {
                case .nothing: continue
                case .end: break reading
                case .message(let message):
                    room.wait()
                    continuation.yield(message)
                }
            }
            continuation.finish()
        }
        return AsyncStream {
            for await message in stream {
                room.signal()
                return message
            }
            return nil
        }
    }
}

/// Splits standard input into lines. Truncates lines that are longer than 1 MiB.
private struct LineBuffer {
    private static let longest = 1 << 20

    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    mutating func next() -> String? {
        var line: [UInt8] = []
        while true {
            if let end = buffer[start...].firstIndex(of: 10) {
                line += buffer[start..<end].prefix(Self.longest - line.count)
                start = end + 1
                return String(decoding: line, as: UTF8.self)
            }
            line += buffer[start...].prefix(Self.longest - line.count)
            guard fill() else { return line.isEmpty ? nil : String(decoding: line, as: UTF8.self) }
        }
    }

    private mutating func fill() -> Bool {
        start = 0
        buffer = [UInt8](repeating: 0, count: isAtEnd ? 0 : 1 << 16)
        guard !isAtEnd else { return false }
        var count = read(STDIN_FILENO, &buffer, buffer.count)
        while count < 0, errno == EINTR { count = read(STDIN_FILENO, &buffer, buffer.count) }
        buffer.removeLast(buffer.count - max(count, 0))
        isAtEnd = count <= 0
        return !isAtEnd
    }
}
