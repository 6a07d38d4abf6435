import Foundation
import PetrelKit
import PetrelSupport

/// The programs in a folder of scripts, and one folder down, as they are at one time.
struct ScriptScan: Sendable {
    /// The maximum number of scripts of one folder with its folders.
    static let most = 5_000

    /// The programs, in the order of their paths.
    private(set) var files: [ScriptFile] = []
    /// The files and folders that are not loaded.
    private(set) var problems: [ScriptProblem] = []
    /// The folders that were read, and those that hold links on the way, or their targets.
    private(set) var folders: [String] = []
    private var safety = FileSafety()
    /// The device and the inode of the folder.
    private var place: [UInt64] = []
    private let settings: ScriptSettings

    /// Looks at the folder.
    init(_ settings: ScriptSettings) {
        self.settings = settings
        folders += LinkWalk(settings.directory).links.map(\.folder)
        var status = stat()
        guard stat(settings.directory, &status) == 0 else {
            refuse(settings.directory, "the folder cannot be read: \(Self.reason)")
            return
        }
        place = Self.place(status)
        if status.st_mode & S_IFMT == S_IFDIR {
            read(settings.directory, below: "")
        } else {
            refuse(settings.directory, "it is not a folder")
        }
        files = Self.withoutRepeats(files)
    }

    private static func place(_ status: stat) -> [UInt64] {
        [UInt64(truncatingIfNeeded: status.st_dev), UInt64(truncatingIfNeeded: status.st_ino)]
    }

    /// Returns the files without those that are another one, which links reach by a longer path and the same name.
    private static func withoutRepeats(_ files: [ScriptFile]) -> [ScriptFile] {
        let groups = Dictionary(grouping: files.indices) { Command.key(files[$0].name) }
        let kept = groups.values.flatMap { indices in
            Dictionary(grouping: indices) { files[$0].stamp }.values.compactMap { same in
                same.min { (files[$0].path.utf8.count, $0) < (files[$1].path.utf8.count, $1) }
            }
        }
        return kept.sorted().map { files[$0] }
    }

    private static var reason: String { String(cString: strerror(errno)) }

    private mutating func refuse(_ path: String, _ reason: String) {
        problems.append(ScriptProblem(path: path, reason: reason))
    }

    private mutating func read(_ folder: String, below prefix: String) {
        // Also a folder that is refused is watched, because its permissions may change.
        folders.append(folder)
        if let objection = safety.objection(toFolder: folder) {
            return refuse(prefix.isEmpty ? folder : prefix, objection)
        }
        guard let names = Self.names(in: folder) else {
            return refuse(folder, "the folder cannot be read: \(Self.reason)")
        }
        for bytes in names {
            guard files.count < Self.most else {
                return refuse(folder, "it has more than \(Self.most) scripts; the rest is not loaded")
            }
            guard let name = String(validating: bytes, as: UTF8.self) else {
                let shown = String(decoding: bytes, as: UTF8.self)
                refuse(prefix + shown, "its name is not UTF-8; rename it")
                continue
            }
            look(at: name, in: folder, below: prefix)
        }
    }

    private mutating func look(at file: String, in folder: String, below prefix: String) {
        guard let first = file.unicodeScalars.first, first != "_", first != "." else { return }
        let path = "\(folder)/\(file)"
        var status = stat()
        guard stat(path, &status) == 0 else {
            let (code, reason) = (errno, Self.reason)
            guard let name = ScriptFile.name(of: file), settings.permits(name) else { return }
            // A file that was removed meanwhile is no problem.
            if lstat(path, &status) == 0 {
                refuse(
                    prefix + file,
                    code == ENOENT ? "it is a link to a file that does not exist" : "it cannot be read: \(reason)")
            }
            return
        }
        watchTarget(of: path)
        switch status.st_mode & S_IFMT {
        // A link to the folder itself has nothing else in it.
        case S_IFDIR: if prefix.isEmpty, Self.place(status) != place { read(path, below: "\(file)/") }
        case S_IFREG: load(file, path, status, below: prefix)
        default: break
        }
    }

    /// Adds the folders in which the target of a link can change.
    private mutating func watchTarget(of path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK else { return }
        folders += LinkWalk(path).links.map(\.folder)
        if let real = FileSafety.realPath(path) { folders.append(LinkWalk.parent(of: real)) }
    }

    private mutating func load(_ file: String, _ path: String, _ status: stat, below prefix: String) {
        guard let name = ScriptFile.name(of: file), settings.permits(name) else { return }
        guard status.st_mode & 0o111 != 0, access(path, X_OK) == 0 else {
            if ScriptHelp.isScript(path) { refuse(prefix + file, "it is not executable; run chmod +x on it") }
            return
        }
        if let problem = JobsSettings.problem(ofName: name) { return refuse(prefix + file, "the name \(problem)") }
        if let objection = safety.objection(toFile: path, status) { return refuse(prefix + file, objection) }
        if let problem = ScriptHelp.problem(ofFirstLineOf: path) { return refuse(prefix + file, problem) }
        files.append(
            ScriptFile(name: name, path: path, shownPath: prefix + file, stamp: ScriptFile.Stamp(status)))
    }

    /// Returns the names in a folder as bytes, sorted; nil if the folder cannot be read.
    private static func names(in folder: String) -> [[UInt8]]? {
        guard let stream = opendir(folder) else { return nil }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) })
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }
}
