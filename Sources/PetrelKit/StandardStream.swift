import Foundation

/// Standard output or standard error, whole texts at a time and in order.
///
/// Where nobody reads at the moment, a thread of its own waits for that, not the one at hand.
public final class StandardStream: Sendable {
    public static let output = StandardStream(descriptor: STDOUT_FILENO)
    public static let error = StandardStream(descriptor: STDERR_FILENO)

    private struct Piece: Sendable {
        var bytes: ArraySlice<UInt8>
        var waiter: Waiter?
    }

    /// Told once.
    private final class Waiter: Sendable {
        private let call: Locked<(@Sendable (Bool) -> Void)?>

        init(_ call: @escaping @Sendable (Bool) -> Void) { self.call = Locked(call) }

        func written(_ isWritten: Bool) {
            let call = call.withLock { call in
                defer { call = nil }
                return call
            }
            call?(isWritten)
        }
    }

    private struct State {
        /// What the thread has not written yet.
        var waiting: [Piece] = []
        var isBehind = false
        var size = 0
        /// Texts that were lost since the thread began.
        var lost = 0
    }

    /// So much of what nobody waits for is kept while nobody reads.
    private static let mostOffered = 1 << 20
    /// A pipe that is ready takes at least so much (pipe(7), `PIPE_BUF`).
    private static let readily = 4096

    private let descriptor: Int32
    private let state = Locked(State())

    package init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Returns once it is written. False when nobody will ever read it, or the disk is full: it is lost then, and the
    /// process goes on.
    @discardableResult
    public func write(_ text: String) -> Bool {
        let result = Locked(false)
        let isDone = DispatchSemaphore(value: 0)
        add(
            text,
            Waiter { isWritten in
                result.withLock { $0 = isWritten }
                isDone.signal()
            })
        isDone.wait()
        return result.value
    }

    /// As ``write(_:)``, holding up no thread. Cancelled, it returns false at once; what is being written at that moment
    /// is written to its end.
    public func send(_ text: String) async -> Bool {
        let own = Locked<Waiter?>(nil)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waiter = Waiter { continuation.resume(returning: $0) }
                own.withLock { $0 = waiter }
                add(text, waiter)
                if Task.isCancelled { takeBack(waiter) }
            }
        } onCancel: {
            if let waiter = own.value { takeBack(waiter) }
        }
    }

    private func takeBack(_ waiter: Waiter) {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.waiter === waiter }) else { return }
            state.size -= state.waiting.remove(at: index).bytes.count
        }
        waiter.written(false)
    }

    /// Writes it when there is a reader. Where too much waits for one already it is lost, and their number is written.
    public func offer(_ text: String) {
        let isTaken = state.withLock { state in
            if state.size >= Self.mostOffered { state.lost += 1 }
            return state.size < Self.mostOffered
        }
        if isTaken { add(text, nil) }
    }

    private func add(_ text: String, _ waiter: Waiter?) {
        let (isWritten, isFirst): (Bool?, Bool) = state.withLock { state in
            var piece = Piece(bytes: Array(text.utf8)[...], waiter: waiter)
            if !state.isBehind, let isWritten = writeReadily(&piece.bytes) { return (isWritten, false) }
            state.waiting.append(piece)
            state.size += piece.bytes.count
            defer { state.isBehind = true }
            return (nil, !state.isBehind)
        }
        if let isWritten { waiter?.written(isWritten) }
        if isFirst { Thread.detachNewThread { self.catchUp() } }
    }

    /// Nil where the rest would have to wait.
    private func writeReadily(_ bytes: inout ArraySlice<UInt8>) -> Bool? {
        while !bytes.isEmpty {
            var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&ready, 1, 0) > 0 else { return nil }
            guard let count = writeOnce(bytes.prefix(Self.readily)) else { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }

    private func catchUp() {
        while let piece = next() {
            let isWritten = writeAll(piece.bytes)
            state.withLock { $0.size -= piece.bytes.count }
            piece.waiter?.written(isWritten)
        }
    }

    private func next() -> Piece? {
        state.withLock { state in
            if !state.waiting.isEmpty { return state.waiting.removeFirst() }
            state.isBehind = state.lost > 0
            guard state.isBehind else { return nil }
            let note = Array("petrel: \(state.lost) lines were lost here: nobody read them\n".utf8)
            state.lost = 0
            state.size += note.count
            return Piece(bytes: note[...])
        }
    }

    private func writeAll(_ all: ArraySlice<UInt8>) -> Bool {
        var bytes = all
        while !bytes.isEmpty {
            var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = poll(&ready, 1, -1)
            guard let count = writeOnce(bytes) else { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }

    /// How much was written; nil where that will never be possible.
    private func writeOnce(_ bytes: ArraySlice<UInt8>) -> Int? {
        let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        if count >= 0 { return count }
        return errno == EAGAIN || errno == EINTR ? 0 : nil
    }
}
