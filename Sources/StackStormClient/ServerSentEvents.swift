#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One event of a stream.
public struct ServerSentEvent: Sendable, Equatable {
    public var name: String
    public var data: [UInt8]

    public init(name: String, data: [UInt8]) {
        self.name = name
        self.data = data
    }
}

/// Reads `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)
/// from chunks of any size. Pure, and linear in the bytes.
package struct ServerSentEventParser: Sendable {
    package enum Item: Sendable, Equatable {
        case event(ServerSentEvent)
        /// The server asked to come back after so many milliseconds. StackStorm never does; a proxy does when the
        /// stream service is down.
        case retry(Int)
        /// An event longer than the limit was skipped.
        case oversized(name: String, bytes: Int)
    }

    private let limit: Int
    private var line: [UInt8] = []
    private var name: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var skipped = 0
    /// The bytes of the event at hand, as long as they are within the limit.
    private var used = 0
    /// The line at hand is part of what is skipped.
    private var lineIsSkipped = false
    private var afterReturn = false
    private var isStart = true

    /// - Parameter limit: the longest event, in bytes; longer ones are skipped.
    package init(limit: Int = 32 << 20) {
        self.limit = limit
    }

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
                // A line of which nothing was kept is not an empty one.
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

    /// Part of a line whose end has not come.
    private mutating func keep(_ part: UnsafeRawBufferPointer) {
        if !lineIsSkipped, fits(line.count + part.count) {
            line.append(contentsOf: part)
        } else {
            skip(line.count + part.count)
            lineIsSkipped = true
            line = []
        }
    }

    /// Whether so many bytes more are within the limit for one event, field names included.
    private func fits(_ count: Int) -> Bool { skipped == 0 && used + count <= limit }

    private mutating func skip(_ count: Int) {
        skipped += used + count
        used = 0
        isStart = false
        data = []
    }

    private mutating func take(_ line: UnsafeRawBufferPointer, into items: inout [Item]) {
        // However the chunks are cut, a byte order mark counts.
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
    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [Item] {
        var items: [Item] = []
        Array(bytes).withUnsafeBytes { feed($0, into: &items) }
        return items
    }
}
