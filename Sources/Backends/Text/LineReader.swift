import Foundation
import PetrelKit
import PetrelSupport

/// Reads lines on a dedicated thread and converts them to messages. The thread stays at most 256 messages ahead of the
/// reader, and continues where it was if the backend runs again.
final class LineReader: Sendable {
    /// The result of converting one line.
    enum Outcome: Sendable {
        case message(ChatMessage)
        case nothing
        case end
    }

    private static let ahead = 256

    /// The input. The thread keeps it open: a descriptor that was closed can belong to another file a moment later.
    private let input: FileHandle
    private let convert: @Sendable (String) -> Outcome
    private let messages = Mailbox<ChatMessage>()
    private let room = DispatchSemaphore(value: 0)
    private let hasBegun = Locked(false)

    /// Creates a reader. It does not read before the first call of ``next()``.
    /// - Parameter convert: converts a line; called on the thread of the reader, which may wait.
    init(_ input: FileHandle, _ convert: @escaping @Sendable (String) -> Outcome) {
        self.input = input
        self.convert = convert
        // Signaled in a loop: releasing a semaphore whose value is below its initial value terminates the process.
        for _ in 0..<Self.ahead { room.signal() }
    }

    /// Returns the next message; nil after `convert` returned `.end`, at the end of the input, or if the task is
    /// cancelled.
    func next() async -> ChatMessage? {
        begin()
        guard let message = await messages.next() else { return nil }
        room.signal()
        return message
    }

    private func begin() {
        let isFirst = hasBegun.withLock { hasBegun in
            defer { hasBegun = true }
            return !hasBegun
        }
        guard isFirst else { return }
        Thread.detachNewThread { [self] in
            var lines = LineBuffer(input)
            reading: while let line = lines.next() {
                switch convert(line) {
                case .nothing: continue
                case .end: break reading
                case .message(let message):
                    room.wait()
                    messages.put(message)
                }
            }
            messages.finish()
        }
    }
}

/// Splits the bytes of a file into lines. Truncates lines that are longer than 1 MiB.
private struct LineBuffer {
    private static let longest = 1 << 20

    let input: FileHandle
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(_ input: FileHandle) {
        self.input = input
    }

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
        var count = read(input.fileDescriptor, &buffer, buffer.count)
        while count < 0, errno == EINTR { count = read(input.fileDescriptor, &buffer, buffer.count) }
        buffer.removeLast(buffer.count - max(count, 0))
        isAtEnd = count <= 0
        return !isAtEnd
    }
}
