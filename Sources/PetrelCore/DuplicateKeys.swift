import Foundation

/// A scanner for duplicate keys in JSON. Parsers silently keep one of two equal keys, which is dangerous for access
/// rules.
struct DuplicateKeys {
    private let bytes: [UInt8]
    private var index = 0
    private(set) var found: [String] = []

    /// Scans a document.
    /// - Parameter data: valid JSON.
    init(in data: Data) {
        bytes = Array(data)
        value(at: "")
    }

    private mutating func space() {
        while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
    }

    private mutating func value(at path: String) {
        space()
        guard index < bytes.count else { return }
        switch bytes[index] {
        case UInt8(ascii: "{"): object(at: path)
        case UInt8(ascii: "["): list(at: path)
        case UInt8(ascii: "\""): _ = string()
        default:
            while index < bytes.count, !Self.ends.contains(bytes[index]) { index += 1 }
        }
    }

    private static let ends = Set(",]} \t\r\n".utf8)

    private mutating func object(at path: String) {
        var seen: Set<String> = []
        index += 1
        while true {
            space()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { break }
            let key = string()
            let place = path.isEmpty ? key : "\(path).\(key)"
            if !seen.insert(key).inserted { found.append(place) }
            space()
            index += 1
            value(at: place)
            space()
            guard index < bytes.count, bytes[index] == UInt8(ascii: ",") else { break }
            index += 1
        }
        index += 1
    }

    private mutating func list(at path: String) {
        index += 1
        var count = 0
        while true {
            space()
            guard index < bytes.count, bytes[index] != UInt8(ascii: "]") else { break }
            value(at: "\(path)[\(count)]")
            count += 1
            space()
            guard index < bytes.count, bytes[index] == UInt8(ascii: ",") else { break }
            index += 1
        }
        index += 1
    }

    private mutating func string() -> String {
        let start = index
        index += 1
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        index += 1
        // Escapes are decoded, because two spellings of a key are the same key.
        let text = Data(bytes[start..<min(index, bytes.count)])
        return (try? JSONDecoder().decode(String.self, from: text)) ?? String(decoding: text, as: UTF8.self)
    }
}
