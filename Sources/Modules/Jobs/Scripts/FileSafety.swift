import Foundation
import PetrelSupport

/// Checks that nobody but the user of this process and root can change files, or replace them.
struct FileSafety {
    /// The results for folders, which many files share, by the bytes of their paths: equal texts may be different paths.
    private var folders: [[UInt8]: String?] = [:]
    private let user = geteuid()

    /// Returns the reason for which a program must not be run, as a clause; nil if it may. The folders above it count.
    mutating func objection(toFile path: String, _ status: stat) -> String? {
        if let objection = objection(to: "the file", path, status, isShared: false) { return objection }
        if let objection = objection(toLinksOf: path) { return objection }
        guard let real = Self.realPath(path) else { return "its real path cannot be found" }
        return objection(toFolder: LinkWalk.parent(of: real), isAncestor: false)
    }

    /// Returns the reason for which programs in a folder must not be run, as a clause; nil if they may.
    mutating func objection(toFolder path: String) -> String? {
        if let objection = objection(toLinksOf: path) { return objection }
        guard let real = Self.realPath(path) else { return "the folder \(path) cannot be found" }
        return objection(toFolder: real, isAncestor: false)
    }

    /// Returns the reason for which a symbolic link on the way to a path must not be followed: others could replace it.
    private mutating func objection(toLinksOf path: String) -> String? {
        let walk = LinkWalk(path)
        for link in walk.links {
            guard link.owner == 0 || link.owner == user else {
                return "the link \(link.path) belongs to \(Self.name(ofUser: link.owner)), who could change it"
            }
            if let objection = objection(toFolder: link.folder, isAncestor: true) { return objection }
        }
        return walk.isEndless ? "the links to \(path) cannot be followed" : nil
    }

    private mutating func objection(toFolder path: String, isAncestor: Bool) -> String? {
        let key = Array((isAncestor ? path + "/" : path).utf8)
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
            found = path == "/" ? nil : objection(toFolder: LinkWalk.parent(of: path), isAncestor: true)
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
        guard status.st_mode & 0o020 != 0 else { return nil }
        guard Self.isPrivate(status.st_gid, of: status.st_uid) else {
            return "the members of its group can write to \(kind) \(path); run chmod g-w on it"
        }
        // With an access list, the bit of the group is the mask of all its entries.
        return AccessList.exists(at: path)
            ? "the access list of \(kind) \(path) may let others write to it; run setfacl -b on it" : nil
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
}
