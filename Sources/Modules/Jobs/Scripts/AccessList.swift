import Foundation

/// The POSIX access lists of files.
enum AccessList {
    #if os(Linux)
        private typealias GetAttribute =
            @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int

        /// The function `getxattr` of the C library, which the module of the library does not declare.
        private static let getAttribute = dlsym(nil, "getxattr").map { unsafeBitCast($0, to: GetAttribute.self) }
    #endif

    /// Returns whether a file or a folder has an access list besides its permissions; also true if that is unknown.
    static func exists(at path: String) -> Bool {
        #if os(Linux)
            guard let getAttribute else { return true }
            if getAttribute(path, "system.posix_acl_access", nil, 0) >= 0 { return true }
            return errno != ENODATA && errno != EOPNOTSUPP
        #else
            return false
        #endif
    }
}
