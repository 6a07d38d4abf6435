import Crypto
import PetrelKit
import PetrelSupport
import StackStormClient

/// One announcement, as the stream or the history brought it.
struct Announced: Sendable {
    var announcement: Announcement
    /// Petrel's own id of the command that it speaks of; nil where it does not say.
    var request: String?
    /// What tells contents apart, the same for both ways in.
    var content: [UInt8]
    /// The id of the execution that it was; the stream does not tell.
    var source: String?
    /// The run of the notify rule's action, where it is known.
    var parent: String?
    /// How long ago StackStorm announced it.
    var age = Duration.zero

    init(_ announcement: Announcement, route: String) {
        self.announcement = announcement
        request = RequestID.read(announcement.context)
        content = announcement.digest(route: route)
    }

    var entry: LedgerEntry { LedgerEntry(content: content, source: source) }
}

extension Announcement {
    /// 16 bytes of SHA-256. Where StackStorm gives null, an empty object or nothing for the same, that is the same.
    func digest(route: String) -> [UInt8] {
        var hash = ContentHash()
        for text in [route, user ?? "", channel ?? "", whisper ? "w" : ""] { hash.add(text) }
        hash.add(message)
        hash.add(.object(context ?? [:]))
        hash.add(.object(extra ?? [:]))
        return hash.finish()
    }
}

/// Hashes JSON so that the order of keys does not matter, and nothing that differs looks the same.
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
