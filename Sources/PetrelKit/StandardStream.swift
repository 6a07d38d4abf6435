public import Foundation
import PetrelSupport

/// A writer for standard output or standard error, which writes whole texts in the order of the calls.
///
/// If a write would block because the reader is slow, a separate thread performs it.
public final class StandardStream: Sendable {
    /// The writer for standard output.
    public static let output = StandardStream(descriptor: STDOUT_FILENO)
    /// The writer for standard error.
    public static let error = StandardStream(descriptor: STDERR_FILENO)

    private struct Piece: Sendable {
        var bytes: ArraySlice<UInt8>
        /// True if a part of the text is written, so that the rest must follow.
        var hasBegun = false
        var waiter: Waiter?
    }

    /// A completion handler that is called once, with 0 or an error number (errno(3)).
    private final class Waiter: Sendable {
        private let call: Locked<(@Sendable (CInt) -> Void)?>

        init(_ call: @escaping @Sendable (CInt) -> Void) { self.call = Locked(call) }

        func ended(_ code: CInt) {
            let call = call.withLock { call in
                defer { call = nil }
                return call
            }
            call?(code)
        }
    }

    private struct State {
        /// The texts that the separate thread has still to write.
        var waiting: [Piece] = []
        /// True while the separate thread runs.
        var isBehind = false
        /// The size of the waiting texts, in bytes.
        var size = 0
        /// The number of texts that were dropped since the last accepted one.
        var lost = 0
        /// True if the last text ended within a line because of an error.
        var isTorn = false
    }

    /// The maximum size of waiting texts for which ``offer(_:)`` still accepts texts, in bytes.
    private static let mostOffered = 1 << 20
    /// The number of bytes that a pipe accepts without blocking if it is ready (pipe(7), `PIPE_BUF`).
    private static let readily = 4096

    private let descriptor: CInt
    /// The owner of the descriptor, which stays open as long as the writer exists.
    private let owner: FileHandle?
    /// True if poll(2) reports reliably that a write does not block. On a terminal it does not.
    private let tellsReadiness: Bool
    private let state = Locked(State())

    /// Creates a writer for a file, which stays open as long as the writer exists.
    public convenience init(_ file: FileHandle) { self.init(descriptor: file.fileDescriptor, owner: file) }

    /// Creates a writer for a file descriptor, which must stay open as long as the writer exists.
    public convenience init(descriptor: CInt) { self.init(descriptor: descriptor, owner: nil) }

    private init(descriptor: CInt, owner: FileHandle?) {
        self.descriptor = descriptor
        self.owner = owner
        var status = stat()
        let kind = fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
        tellsReadiness = [S_IFIFO, S_IFSOCK, S_IFREG].contains(kind)
    }

    /// Writes a text, and blocks until it is written or the time limit has passed. Do not call this on an event loop or
    /// in a task.
    public func write(_ text: String, within limit: Duration? = nil) {
        let isDone = DispatchSemaphore(value: 0)
        add(Array(text.utf8), Waiter { _ in isDone.signal() })
        _ = isDone.wait(timeout: limit.map { .now() + $0 / .seconds(1) } ?? .distantFuture)
    }

    /// Writes a text, and returns 0 once it is written, or the number of the error (errno(3)) because of which it is
    /// lost.
    ///
    /// If the task is cancelled, it returns `ECANCELED` at once; a text that is partly written is completed
    /// nevertheless.
    public func send(_ text: String) async -> CInt {
        let own = Locked<Waiter?>(nil)
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waiter = Waiter { continuation.resume(returning: $0) }
                own.withLock { $0 = waiter }
                add(Array(text.utf8), waiter)
                if Task.isCancelled { takeBack(waiter) }
            }
        } onCancel: {
            if let waiter = own.value { takeBack(waiter) }
        }
    }

    private func takeBack(_ waiter: Waiter) {
        state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.waiter === waiter && !$0.hasBegun }) else { return }
            state.size -= state.waiting.remove(at: index).bytes.count
        }
        waiter.ended(ECANCELED)
    }

    /// Writes a text as soon as the reader accepts it, and returns at once. If too many texts are waiting, the text is
    /// dropped, and the number of dropped texts is written later.
    public func offer(_ text: String) {
        let lost: Int? = state.withLock { state in
            guard state.size < Self.mostOffered else {
                state.lost += 1
                return nil
            }
            defer { state.lost = 0 }
            return state.lost
        }
        guard let lost else { return }
        let note = lost > 0 ? "petrel: \(lost) lines were dropped here because the output was not read\n" : ""
        add(Array((note + text).utf8), nil)
    }

    private func add(_ bytes: [UInt8], _ waiter: Waiter?) {
        let (code, isFirst): (CInt?, Bool) = state.withLock { state in
            var piece = Piece(bytes: bytes[...], waiter: waiter)
            if !state.isBehind, tellsReadiness, let code = writeReadily(&piece, &state) { return (code, false) }
            state.waiting.append(piece)
            state.size += piece.bytes.count
            defer { state.isBehind = true }
            return (nil, !state.isBehind)
        }
        if let code { waiter?.ended(code) }
        if isFirst { Thread.detachNewThread { self.catchUp() } }
    }

    /// Writes without blocking. Returns nil if a part of the text is left.
    private func writeReadily(_ piece: inout Piece, _ state: inout State) -> CInt? {
        if state.isTorn { piece.bytes = [UInt8(ascii: "\n")] + piece.bytes }
        state.isTorn = false
        while !piece.bytes.isEmpty {
            var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&ready, 1, 0) > 0 else { return nil }
            let code = writeSome(&piece, atMost: Self.readily)
            guard code == 0 else {
                state.isTorn = piece.hasBegun
                return code
            }
        }
        return 0
    }

    private func catchUp() {
        while var piece = next() {
            let size = piece.bytes.count
            var code: CInt = 0
            while code == 0, !piece.bytes.isEmpty {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, -1)
                code = writeSome(&piece, atMost: .max)
            }
            state.withLock { state in
                state.size -= size
                state.isTorn = code != 0 && piece.hasBegun
            }
            piece.waiter?.ended(code)
        }
    }

    private func next() -> Piece? {
        state.withLock { state in
            state.isBehind = !state.waiting.isEmpty
            guard state.isBehind else { return nil }
            var piece = state.waiting.removeFirst()
            guard state.isTorn else { return piece }
            state.isTorn = false
            state.size += 1
            piece.bytes = [UInt8(ascii: "\n")] + piece.bytes
            return piece
        }
    }

    /// Writes a part of a text. Returns 0, or the number of the error because of which the rest is lost.
    private func writeSome(_ piece: inout Piece, atMost limit: Int) -> CInt {
        let part = piece.bytes.prefix(limit)
        let count = part.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 { return errno == EAGAIN || errno == EINTR ? 0 : errno }
        piece.bytes = piece.bytes.dropFirst(count)
        piece.hasBegun = piece.hasBegun || count > 0
        return 0
    }
}
