#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A server-sent event (WHATWG HTML, section 9.2).
public struct ServerSentEvent: Sendable, Equatable {
    /// The type of the event, such as `st2.announcement__chatops`. The default is `message`.
    public var name: String
    /// The data, which is JSON in UTF-8 for events of StackStorm.
    public var data: [UInt8]

    /// Creates an event.
    public init(name: String, data: [UInt8]) {
        self.name = name
        self.data = data
    }
}

/// An incremental parser for `text/event-stream`
/// (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
///
/// The parser accepts chunks of any size, and its time is linear in the number of bytes.
package struct ServerSentEventParser: Sendable {
    /// A result of the parser.
    package enum Item: Sendable, Equatable {
        /// An event.
        case event(ServerSentEvent)
        /// The `retry` field: the server asks the client to reconnect after this number of milliseconds.
        ///
        /// StackStorm never sends it. Its nginx sends it if the stream service is down.
        case retry(Int)
        /// An event that was larger than the limit and was skipped, with the number of its bytes.
        case oversized(name: String, bytes: Int)
    }

    private let limit: Int
    private var line: [UInt8] = []
    private var name: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var skipped = 0
    /// The number of bytes of the current event, if it is within the limit.
    private var used = 0
    /// True if the current line is part of a skipped event.
    private var lineIsSkipped = false
    private var afterReturn = false
    private var isStart = true

    /// Creates a parser.
    ///
    /// - Parameter limit: The maximum size of an event, in bytes. Larger ones are skipped.
    package init(limit: Int = 32 << 20) {
        self.limit = limit
    }

    /// Parses a chunk and appends the results.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer, into items: inout [Item]) {
        guard let base = bytes.baseAddress else { return }
        var start = 0
        if afterReturn, bytes[0] == 10 { start = 1 }
        afterReturn = false
        while start < bytes.count {
            let rest = bytes.count - start
            let newline =
                memchr(base + start, 10, rest).map { $0 - UnsafeMutableRawPointer(mutating: base) } ?? bytes.count
            let end =
                memchr(base + start, 13, newline - start).map { $0 - UnsafeMutableRawPointer(mutating: base) }
                ?? newline
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            guard end < bytes.count else {
                keep(part)
                return
            }
            if line.isEmpty && !lineIsSkipped {
                take(part, into: &items)
            } else {
                keep(part)
                // A skipped line must not be mistaken for an empty one, which ends the event.
                if !lineIsSkipped {
                    let whole = line
                    line.removeAll(keepingCapacity: line.capacity <= 1 << 16)
                    whole.withUnsafeBytes { take($0, into: &items) }
                }
                lineIsSkipped = false
            }
            start = end + 1
            if bytes[end] == 13 {
                if start == bytes.count { afterReturn = true } else if bytes[start] == 10 { start += 1 }
            }
        }
    }

    /// Stores a part of an incomplete line.
    private mutating func keep(_ part: UnsafeRawBufferPointer) {
        if !lineIsSkipped, fits(line.count + part.count) {
            line.append(contentsOf: part)
        } else {
            skip(line.count + part.count)
            lineIsSkipped = true
            line = []
        }
    }

    /// Returns true if more bytes are within the limit for an event, which includes field names.
    private func fits(_ count: Int) -> Bool { skipped == 0 && used + count <= limit }

    private mutating func skip(_ count: Int) {
        skipped += used + count
        used = 0
        isStart = false
        data = []
    }

    private mutating func take(_ line: UnsafeRawBufferPointer, into items: inout [Item]) {
        // A byte order mark counts towards the limit, independent of the size of chunks.
        let length = line.count
        var line = line
        if isStart {
            isStart = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line = UnsafeRawBufferPointer(rebasing: line[3...]) }
        }
        guard !line.isEmpty else { return dispatch(into: &items) }
        guard fits(length) else { return skip(length) }
        used += length
        let colon = line.firstIndex(of: 58)
        let field = UnsafeRawBufferPointer(rebasing: line[..<(colon ?? line.count)])
        var value = UnsafeRawBufferPointer(rebasing: line[min((colon ?? line.count) + 1, line.count)...])
        if value.first == 32 { value = UnsafeRawBufferPointer(rebasing: value[1...]) }
        if field.elementsEqual("data".utf8) {
            if hasData { data.append(10) }
            hasData = true
            data.append(contentsOf: value)
        } else if field.elementsEqual("event".utf8) {
            name = Array(value.prefix(1 << 10))
        } else if field.elementsEqual("retry".utf8), let pause = Int(String(decoding: value, as: UTF8.self)) {
            items.append(.retry(pause))
        }
    }

    private mutating func dispatch(into items: inout [Item]) {
        let event = String(decoding: name, as: UTF8.self)
        if skipped > 0 {
            items.append(.oversized(name: event, bytes: skipped))
        } else if hasData {
            items.append(.event(ServerSentEvent(name: event.isEmpty ? "message" : event, data: data)))
        }
        name.removeAll(keepingCapacity: true)
        data = []
        hasData = false
        skipped = 0
        used = 0
    }
}

extension ServerSentEventParser {
    /// Parses a chunk and returns the results.
    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [Item] {
        var items: [Item] = []
        Array(bytes).withUnsafeBytes { feed($0, into: &items) }
        return items
    }
}
