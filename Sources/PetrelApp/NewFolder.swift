import Foundation
import PetrelSupport
import PlugInTemplates

/// A folder that is created with all of its files, or not at all.
struct NewFolder {
    /// The path of the folder.
    let path: String
    private let parent: String

    init(name: String, parent: String) {
        self.parent = parent
        path = parent == "." ? name : parent + (parent.hasSuffix("/") ? "" : "/") + name
    }

    /// Writes the files into a folder with a temporary name, and then gives it its name. Throws ``NewFolderFailure``
    /// if anything exists under the name, even a symbolic link without a target.
    func write(_ files: [PlugInFile]) throws {
        guard !exists else { throw NewFolderFailure(alreadyExists: path) }
        let temporary = "\(parent)/.petrel-new-\(UUID().uuidString)"
        do {
            try makeFolder(temporary)
            for file in files { try write(file, in: temporary) }
            try give(temporary)
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw error
        }
    }

    private var exists: Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Renames the temporary folder. The new name is first taken by an empty folder, because `mkdir` fails if anything
    /// exists under it, whereas `rename` would replace an empty folder of somebody else.
    private func give(_ temporary: String) throws {
        guard mkdir(path, 0o755) == 0 else {
            throw errno == EEXIST ? NewFolderFailure(alreadyExists: path) : NewFolderFailure(parent, errno)
        }
        guard rename(temporary, path) == 0 else {
            let failure = NewFolderFailure(parent, errno)
            rmdir(path)
            throw failure
        }
    }

    private func makeFolder(_ path: String) throws {
        guard mkdir(path, 0o755) == 0 else { throw NewFolderFailure(parent, errno) }
    }

    private func write(_ file: PlugInFile, in folder: String) throws {
        try makeFolders(of: file.path, in: folder)
        let descriptor = open("\(folder)/\(file.path)", O_WRONLY | O_CREAT | O_EXCL, mode_t(file.permissions))
        guard descriptor >= 0 else { throw NewFolderFailure(parent, errno) }
        defer { close(descriptor) }
        var rest = Array(file.content.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { throw NewFolderFailure(parent, errno) }
            rest = rest.dropFirst(max(count, 0))
        }
        // Some file systems report only now that they are full.
        guard fsync(descriptor) == 0 else { throw NewFolderFailure(parent, errno) }
    }

    /// Creates the folders in the path of a file, unless they exist.
    private func makeFolders(of file: String, in folder: String) throws {
        var path = folder
        for part in file.utf8.split(separator: UInt8(ascii: "/")).dropLast() {
            path += "/" + String(decoding: part, as: UTF8.self)
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw NewFolderFailure(parent, errno) }
        }
    }
}

/// The failure to create a folder.
struct NewFolderFailure: Error, CustomStringConvertible {
    let description: String

    init(alreadyExists path: String) {
        description =
            "\(path) already exists, and nothing was changed; choose another name, or another folder with --to"
    }

    init(_ parent: String, _ code: Int32) {
        description = "cannot create files in \(parent), and nothing remains: \(String(cString: strerror(code)))"
    }
}
