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

    private let descriptor: CInt
    private let convert: @Sendable (String) -> Outcome
    private let messages = Mailbox<ChatMessage>()
    private let room = DispatchSemaphore(value: 0)
    private let hasBegun = Locked(false)

    /// Creates a reader. It does not read before the first call of ``next()``.
    /// - Parameter convert: converts a line; called on the thread of the reader, which may wait.
    init(_ descriptor: CInt, _ convert: @escaping @Sendable (String) -> Outcome) {
        self.descriptor = descriptor
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
            var input = LineBuffer(descriptor: descriptor)
            reading: while let line = input.next() {
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

/// Splits the bytes of a file descriptor into lines. Truncates lines that are longer than 1 MiB.
private struct LineBuffer {
    private static let longest = 1 << 20

    let descriptor: CInt
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(descriptor: CInt) {
        self.descriptor = descriptor
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
        var count = read(descriptor, &buffer, buffer.count)
        while count < 0, errno == EINTR { count = read(descriptor, &buffer, buffer.count) }
        buffer.removeLast(buffer.count - max(count, 0))
        isAtEnd = count <= 0
        return !isAtEnd
    }
}
