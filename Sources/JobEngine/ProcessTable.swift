import Foundation
import PetrelSupport

/// The processes of the system, read from /proc. The table is empty on systems other than Linux.
package enum ProcessTable {
    /// A process.
    package struct Entry: Sendable {
        /// The process identifier.
        package var id: Int32
        /// The identifier of its process group.
        package var group: Int32
        /// True if it has ended, and only remains to be reaped.
        package var hasEnded: Bool
        /// The time of its start, in ticks since the start of the machine.
        package var start: String
    }

    /// The identifier of this start of the machine.
    private static let boot = text(of: "/proc/sys/kernel/random/boot_id")

    /// Returns a process; nil if it does not exist.
    package static func entry(_ id: Int32) -> Entry? {
        // The second field is the name, which may contain spaces and parentheses.
        guard let text = text(of: "/proc/\(id)/stat"), let end = text.utf8.lastIndex(of: UInt8(ascii: ")")) else {
            return nil
        }
        let fields = text.utf8[end...].dropFirst().split(separator: UInt8(ascii: " ")).map { String(Substring($0)) }
        guard fields.count > 19, let group = Int32(fields[2]) else { return nil }
        return Entry(id: id, group: group, hasEnded: ["Z", "X"].contains(fields[0]), start: fields[19])
    }

    /// Returns the processes of a group that have not ended.
    package static func members(ofGroup group: Int32) -> [Entry] {
        // Without this file system, there are no entries.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.compactMap(entry).filter { $0.group == group && !$0.hasEnded }
    }

    /// Returns a text that no other process has, also after its end and after a restart of the machine; nil if the
    /// process does not exist.
    package static func identity(of id: Int32) -> String? { entry(id).flatMap(identity) }

    static func identity(of entry: Entry) -> String? { boot.map { "\($0) \(entry.start)" } }

    /// Returns true if an identity belongs to a process that started before the machine did.
    static func isOfEarlierStart(_ identity: String) -> Bool {
        boot.map { !identity.utf8.starts(with: $0.utf8) } ?? false
    }

    private static func text(of path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: path), !data.isEmpty else { return nil }
        return String(decoding: data, as: UTF8.self).withoutLineEnd
    }
}

extension String {
    /// The text without a line feed at its end.
    fileprivate var withoutLineEnd: String { utf8.last == 0x0A ? String(unicodeScalars.dropLast()) : self }
}
