import Foundation
import PetrelSupport

/// Checks that nobody but the user of this process and root can change files, or replace them.
struct FileSafety {
    /// The results for folders, which many files share.
    private var folders: [String: String?] = [:]
    private let user = geteuid()

    /// Returns the reason for which a program must not be run, as a clause; nil if it may. The folders above it count.
    mutating func objection(toFile path: String, _ status: stat) -> String? {
        if let objection = objection(to: "the file", path, status, isShared: false) { return objection }
        if let objection = objection(toLinksOf: path) { return objection }
        guard let real = Self.realPath(path) else { return "its real path cannot be found" }
        return objection(toFolder: Self.parent(of: real), isAncestor: false)
    }

    /// Returns the reason for which programs in a folder must not be run, as a clause; nil if they may.
    mutating func objection(toFolder path: String) -> String? {
        if let objection = objection(toLinksOf: path) { return objection }
        guard let real = Self.realPath(path) else { return "the folder \(path) cannot be found" }
        return objection(toFolder: real, isAncestor: false)
    }

    /// Returns the reason for which a symbolic link on the way to a path must not be followed: others could replace it.
    private mutating func objection(toLinksOf path: String) -> String? {
        var (rest, folder, hops) = (Self.parts(of: path), "/", 0)
        while let part = rest.popLast() {
            if part == "." { continue }
            if part == ".." {
                folder = Self.parent(of: folder)
                continue
            }
            let next = folder == "/" ? "/" + part : "\(folder)/\(part)"
            var status = stat()
            // What does not exist is reported by the caller.
            guard lstat(next, &status) == 0 else { return nil }
            guard status.st_mode & S_IFMT == S_IFLNK else {
                folder = next
                continue
            }
            guard status.st_uid == 0 || status.st_uid == user else {
                return "the link \(next) belongs to \(Self.name(ofUser: status.st_uid)), who could change it"
            }
            if let objection = objection(toFolder: folder, isAncestor: true) { return objection }
            hops += 1
            guard hops <= 40, let target = Self.target(of: next) else { return "the link \(next) cannot be followed" }
            if target.utf8.first == UInt8(ascii: "/") { folder = "/" }
            rest += Self.parts(of: target)
        }
        return nil
    }

    /// Returns the parts of a path, the last one first.
    private static func parts(of path: String) -> [String] {
        path.utf8.split(separator: UInt8(ascii: "/")).reversed().map { String(Substring($0)) }
    }

    private static func target(of link: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(link, &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(validating: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private mutating func objection(toFolder path: String, isAncestor: Bool) -> String? {
        let key = isAncestor ? path + "/" : path
        if let known = folders[key] { return known }
        var status = stat()
        let found: String?
        if stat(path, &status) != 0 {
            found = "the folder \(path) cannot be read: \(String(cString: strerror(errno)))"
        } else if let objection = objection(
            to: "the folder", path, status, isShared: isAncestor && status.st_mode & mode_t(S_ISVTX) != 0)
        {
            found = objection
        } else {
            found = path == "/" ? nil : objection(toFolder: Self.parent(of: path), isAncestor: true)
        }
        folders[key] = .some(found)
        return found
    }

    /// - Parameter isShared: true for a folder such as `/tmp`, in which everyone may change only their own files.
    private func objection(to kind: String, _ path: String, _ status: stat, isShared: Bool) -> String? {
        guard status.st_uid == 0 || status.st_uid == user else {
            return "\(kind) \(path) belongs to \(Self.name(ofUser: status.st_uid)), who could change it; "
                + "make root or the user that runs Petrel its owner"
        }
        if isShared { return nil }
        if status.st_mode & 0o002 != 0 {
            return "every user of the machine can write to \(kind) \(path); run chmod o-w on it"
        }
        if status.st_mode & 0o020 != 0, !Self.isPrivate(status.st_gid, of: status.st_uid) {
            return "the members of its group can write to \(kind) \(path); run chmod g-w on it"
        }
        return nil
    }

    /// Returns true if a group consists only of one user, who has the same name, as many systems create it.
    private static func isPrivate(_ group: gid_t, of user: uid_t) -> Bool {
        guard let found = getgrgid(group), let owner = getpwuid(user) else { return false }
        let isOwn = owner.pointee.pw_gid == group && strcmp(found.pointee.gr_name, owner.pointee.pw_name) == 0
        guard isOwn, let members = found.pointee.gr_mem else { return isOwn }
        return members.pointee == nil
    }

    private static func name(ofUser id: uid_t) -> String {
        getpwuid(id).map { String(cString: $0.pointee.pw_name) } ?? "the user \(id)"
    }

    /// Returns a path without symbolic links; nil if it does not exist.
    static func realPath(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(validatingCString: real)
    }

    private static func parent(of path: String) -> String {
        let bytes = Array(path.utf8)
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return "/" }
        return String(decoding: bytes[..<slash], as: UTF8.self)
    }
}
