import Crypto
import PetrelKit
import PetrelSupport
import StackStormClient

/// An announcement from the event stream or from the execution history.
struct Announced: Sendable {
    var announcement: Announcement
    /// The request ID of the command, from the context of the announcement; nil if it has none.
    var request: String?
    /// The digest of the content, which is the same on the stream and in the history.
    var content: [UInt8]
    /// The execution ID of the announcement itself; nil for one from the stream, which does not contain it.
    var source: String?
    /// The execution ID of the notify rule's action, if known.
    var parent: String?
    /// The time since StackStorm made the announcement.
    var age = Duration.zero

    init(_ announcement: Announcement, route: String) {
        self.announcement = announcement
        request = RequestID.read(announcement.context)
        content = announcement.digest(route: route)
    }

    var entry: LedgerEntry { LedgerEntry(content: content, source: source) }
}

extension Announcement {
    /// Returns the first 16 bytes of a SHA-256 digest of the content. Null, an empty object and a missing value have
    /// the same digest, because StackStorm uses them interchangeably.
    func digest(route: String) -> [UInt8] {
        var hash = ContentHash()
        for text in [route, user ?? "", channel ?? "", whisper ? "w" : ""] { hash.add(text) }
        hash.add(message)
        hash.add(.object(context ?? [:]))
        hash.add(.object(extra ?? [:]))
        return hash.finish()
    }
}

/// A hash of JSON values that does not depend on the order of keys. Its input is unambiguous: types and lengths are
/// part of it.
private struct ContentHash {
    private var hash = SHA256()

    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            addCount(bytes.count)
            hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        }
    }

    private mutating func addCount(_ count: Int) {
        withUnsafeBytes(of: count.littleEndian) { hash.update(bufferPointer: $0) }
    }

    mutating func add(_ value: JSONValue) {
        switch value {
        case .null: addCount(-1)
        case .bool(let value): addCount(value ? -2 : -3)
        case .integer(let value):
            addCount(-4)
            add("\(value)")
        case .number(let value):
            addCount(-4)
            add("\(value)")
        case .string(let value):
            addCount(-5)
            add(value)
        case .array(let values):
            addCount(-6)
            addCount(values.count)
            for value in values { add(value) }
        case .object(let object):
            addCount(-7)
            addCount(object.count)
            for (key, value) in object.sorted(by: { $0.key < $1.key }) {
                add(key)
                add(value)
            }
        }
    }

    func finish() -> [UInt8] { Array(hash.finalize().prefix(16)) }
}
