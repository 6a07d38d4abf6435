import Foundation

/// The symbolic links on the way to a path.
struct LinkWalk {
    /// A link: the folder that holds it, without links, and its path.
    struct Link {
        var folder: String
        var path: String
        /// The user to whom the link belongs.
        var owner: uid_t
    }

    private static let most = 40

    /// The links, in the order in which they are followed.
    private(set) var links: [Link] = []
    /// True if there are too many links, or one of them cannot be read.
    private(set) var isEndless = false

    /// Follows the links of a path, up to its end or to what does not exist.
    init(_ path: String) {
        var (rest, folder) = (Self.parts(of: path), "/")
        while let part = rest.popLast() {
            if part == "." { continue }
            if part == ".." {
                folder = Self.parent(of: folder)
                continue
            }
            let next = folder == "/" ? "/" + part : "\(folder)/\(part)"
            var status = stat()
            guard lstat(next, &status) == 0 else { return }
            guard status.st_mode & S_IFMT == S_IFLNK else {
                folder = next
                continue
            }
            links.append(Link(folder: folder, path: next, owner: status.st_uid))
            guard links.count <= Self.most, let target = Self.target(of: next) else {
                isEndless = true
                return
            }
            if target.utf8.first == UInt8(ascii: "/") { folder = "/" }
            rest += Self.parts(of: target)
        }
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

    /// Returns the folder that contains a path.
    static func parent(of path: String) -> String {
        let bytes = Array(path.utf8)
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")), slash > 0 else { return "/" }
        return String(decoding: bytes[..<slash], as: UTF8.self)
    }
}
