import CEditline
import Foundation
import PetrelKit
import PetrelSupport

/// An interactive screen in the terminal. libedit edits the input line; output appears above it.
///
/// libedit is not thread-safe. One thread owns it and waits for input or for pending output.
final class Terminal: TextScreen {
    private let place: Locked<TextPlace>
    private let history: String?
    /// Returns true for lines that must not be stored in the history.
    private let isSecret = Locked<@Sendable (String) -> Bool>({ _ in false })
    private let pending = Locked((texts: [String](), isTyping: true))
    private let wake: (read: Int32, write: Int32)
    private let isClosed = Locked(false)

    init(place: TextPlace, history: String?) {
        self.place = Locked(place)
        self.history = history
        var ends: [Int32] = [0, 0]
        if pipe(&ends) != 0 { ends = [-1, -1] }
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        wake = (ends[0], ends[1])
    }

    func complete(
        from lines: @escaping @Sendable () -> [String], isSecret: @escaping @Sendable (String) -> Bool
    ) {
        Editline.candidates.withLock { $0 = lines }
        self.isSecret.withLock { $0 = isSecret }
    }

    func messages() -> AsyncStream<ChatMessage> {
        let (stream, continuation) = AsyncStream.makeStream(of: ChatMessage.self)
        continuation.onTermination = { [self] _ in close() }
        Thread.detachNewThread { [self] in
            converse { continuation.yield($0) }
            continuation.finish()
        }
        return stream
    }

    func show(_ reply: Reply, at address: Address) async -> CInt {
        let here = place.value
        let isHere = address.place == (here.room.map { .room($0) } ?? .direct(here.user))
        let target = Printable.line(address.place.id + (address.thread.map { "/\($0)" } ?? ""))
        let color =
            switch reply.kind {
            case .error: "\u{1B}[31m"
            case .result: "\u{1B}[32m"
            case .acknowledgement: "\u{1B}[2m"
            case .answer: ""
            }
        let label = isHere && address.thread == here.thread ? "" : "\u{1B}[36m[\(target)]\u{1B}[0m "
        let text = label + color + Printable.text(reply.text) + "\u{1B}[0m"
        if offer(text) { return 0 }
        return await StandardStream.output.send(text + "\n")
    }

    func close() {
        isClosed.withLock { $0 = true }
        signal()
    }

    /// Writes a text above the input line, or to standard output if the editor is not running.
    func print(_ text: String) { if !offer(text) { StandardStream.output.offer(text + "\n") } }

    /// Queues a text for the editor thread. Returns false if the editor is not running.
    private func offer(_ text: String) -> Bool {
        let isTyping = pending.withLock { pending in
            if pending.isTyping { pending.texts.append(text) }
            return pending.isTyping
        }
        if isTyping { signal() }
        return isTyping
    }

    private func signal() {
        var byte: UInt8 = 1
        // The result is ignored: if the pipe is full, the thread wakes anyway.
        _ = write(wake.write, &byte, 1)
    }
}

extension Terminal {
    private func converse(_ say: (ChatMessage) -> Void) {
        Editline.setUp()
        if let history { read_history(history) }
        StandardStream.output.write(
            "\(place.value.description) Type !help for bot commands, or /help for terminal commands.\n")
        install()
        defer {
            rl_callback_handler_remove()
            if let history { write_history(history) }
            let left = pending.withLock { pending in
                defer { pending = ([], false) }
                return pending.texts
            }
            StandardStream.output.write(([""] + left).joined(separator: "\n") + "\n")
        }
        while !isClosed.value {
            var watched = [
                pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake.read, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&watched, 2, -1) >= 0 || errno == EINTR else { return }
            if watched[1].revents != 0 { showPending() }
            // The terminal was closed; no more input can be read (poll(2)).
            if watched[0].revents & Int16(POLLHUP | POLLERR | POLLNVAL) != 0 { return }
            guard watched[0].revents != 0 else { continue }
            Editline.input = nil
            Editline.isEnd = false
            rl_callback_read_char()
            if Editline.isEnd { return }
            guard let line = Editline.input else { continue }
            guard take(line, say) else { return }
            install()
        }
    }

    private func install() {
        rl_callback_handler_install(place.value.prompt) { Editline.finished($0) }
    }

    /// Processes one line. Returns false if the user quits.
    private func take(_ line: String, _ say: (ChatMessage) -> Void) -> Bool {
        guard !line.allSatisfy(\.isWhitespace) else { return true }
        if !isSecret.value(line) { add_history(line) }
        switch place.withLock({ $0.take(line) }) {
        case .quit: return false
        case .note(let note): StandardStream.output.write(note + "\n")
        case .message: say(place.withLock { $0.message(line) })
        }
        return true
    }

    private func showPending() {
        var bytes = [UInt8](repeating: 0, count: 256)
        while read(wake.read, &bytes, bytes.count) > 0 {}
        let texts = pending.withLock { pending in
            defer { pending.texts = [] }
            return pending.texts
        }
        guard !texts.isEmpty else { return }
        StandardStream.output.write(clearLine() + texts.joined(separator: "\n") + "\n")
        rl_forced_update_display()
    }
}

extension Terminal {
    /// Returns the escape sequence that clears the prompt and the input line, including wrapped rows.
    private func clearLine() -> String {
        var size = winsize()
        let columns = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 ? max(Int(size.ws_col), 1) : 80
        let rows = (place.value.prompt.count + Int(editline_cursor())) / columns
        return "\r" + (rows > 0 ? "\u{1B}[\(rows)A" : "") + "\u{1B}[J"
    }
}

/// State for libedit's C callbacks. Everything except `candidates` is used only by the terminal's thread.
private enum Editline {
    static let candidates = Locked<@Sendable () -> [String]>({ [] })
    nonisolated(unsafe) static var input: String?
    nonisolated(unsafe) static var isEnd = false
    nonisolated(unsafe) private static var found: [String] = []

    static func setUp() {
        editline_set_up(
            { text, state in Editline.candidate(text, state) },
            { text, _, _ in editline_matches(text) { Editline.candidate($0, $1) } })
    }

    static func finished(_ line: UnsafeMutablePointer<CChar>?) {
        rl_callback_handler_remove()
        guard let line else {
            isEnd = true
            return
        }
        input = String(cString: line)
        free(line)
    }

    private static func candidate(_ text: UnsafePointer<CChar>?, _ state: Int32) -> UnsafeMutablePointer<CChar>? {
        if state == 0 {
            let typed = text.map { String(cString: $0) } ?? ""
            found = completions(of: typed, among: candidates.value()).reversed()
        }
        return found.popLast().flatMap { strdup($0) }
    }

    /// Returns the lines that start with the typed text, each truncated at its first parameter, sorted and without
    /// duplicates.
    static func completions(of typed: String, among lines: [String]) -> [String] {
        var seen: Set<String> = []
        return lines.map { line in String(line.prefix { !"{<([".contains($0) }) }
            .filter { $0.hasPrefix(typed) && seen.insert($0).inserted }.sorted()
    }
}
