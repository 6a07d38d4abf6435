import Foundation
import PetrelSupport

/// A program in a folder of scripts.
struct ScriptFile: Sendable, Hashable {
    /// The marks by which a change of a file is noticed.
    struct Stamp: Sendable, Hashable {
        private let device: UInt64
        private let inode: UInt64
        private let size: Int64
        private let mode: UInt32
        private let changed: [Int64]

        init(_ status: stat) {
            device = UInt64(truncatingIfNeeded: status.st_dev)
            inode = UInt64(truncatingIfNeeded: status.st_ino)
            size = Int64(status.st_size)
            mode = UInt32(status.st_mode)
            #if os(Linux)
                let (change, modification) = (status.st_ctim, status.st_mtim)
            #else
                let (change, modification) = (status.st_ctimespec, status.st_mtimespec)
            #endif
            changed = [
                Int64(change.tv_sec), Int64(change.tv_nsec), Int64(modification.tv_sec), Int64(modification.tv_nsec),
            ]
        }
    }

    /// The name of the command.
    var name: String
    /// The absolute path.
    var path: String
    /// The path below the folder of scripts.
    var shownPath: String
    /// The marks.
    var stamp: Stamp

    static func == (one: ScriptFile, other: ScriptFile) -> Bool {
        // By bytes: a folder may have two files whose names are equal as texts.
        one.stamp == other.stamp && one.path.utf8.elementsEqual(other.path.utf8)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(stamp) }

    /// Returns the name of the command of a file; nil if the file is private, or a copy that an editor or a package
    /// manager has left behind.
    static func name(of file: String) -> String? {
        let scalars = file.unicodeScalars
        guard let first = scalars.first, first != "_", first != ".", first != "#", scalars.last != "~" else {
            return nil
        }
        guard let dot = scalars.lastIndex(of: "."), dot > scalars.startIndex else { return file }
        let ending = String(scalars[scalars.index(after: dot)...])
        return leftovers.contains(ending) ? nil : String(scalars[..<dot])
    }

    private static let leftovers: Set<String> = [
        "bak", "orig", "rej", "swp", "swo", "swn", "tmp", "old", "save", "dpkg-old", "dpkg-new", "dpkg-dist",
        "dpkg-tmp", "ucf-old", "ucf-new", "ucf-dist", "rpmsave", "rpmnew", "rpmorig",
    ]

    /// Returns the reason for which the file must not be run, as it is now; nil if it may.
    func objection() -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return "the file \(path) cannot be read: \(String(cString: strerror(errno)))"
        }
        var safety = FileSafety()
        return safety.objection(toFile: path, status)
    }
}

/// A file or a folder that is not loaded, and the reason.
struct ScriptProblem: Sendable, Hashable {
    /// The path.
    var path: String
    /// The reason, as a clause.
    var reason: String

    /// The path and the reason, as one line.
    var line: String { "\(Printable.visible(path)): \(Printable.line(reason))" }
}
