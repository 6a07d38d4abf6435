import Foundation
import PetrelSupport
import PlugInTemplates

/// Files that are created in a folder beside others, all of them or none.
struct NewFiles {
    /// The path of the folder.
    let folder: String

    /// Writes the files, and the folder unless it exists. Throws ``NewFolderFailure`` if a file exists.
    func write(_ files: [PlugInFile]) throws {
        let isNew = mkdir(folder, 0o755) == 0
        guard isNew || errno == EEXIST else { throw NewFolderFailure(folder, errno) }
        var written: [String] = []
        do {
            for file in files {
                let path = "\(folder)/\(file.path)"
                try create(file, at: path)
                written.append(path)
                try fill(path, file)
            }
        } catch {
            for path in written { unlink(path) }
            if isNew { rmdir(folder) }
            throw error
        }
    }

    private func create(_ file: PlugInFile, at path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(file.permissions))
        guard descriptor >= 0 else {
            throw errno == EEXIST ? NewFolderFailure(fileExists: path) : NewFolderFailure(folder, errno)
        }
        close(descriptor)
    }

    private func fill(_ path: String, _ file: PlugInFile) throws {
        let descriptor = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw NewFolderFailure(folder, errno) }
        defer { close(descriptor) }
        var rest = Array(file.content.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { throw NewFolderFailure(folder, errno) }
            rest = rest.dropFirst(max(count, 0))
        }
        // Some file systems report only now that they are full.
        guard fsync(descriptor) == 0 else { throw NewFolderFailure(folder, errno) }
    }
}

extension NewFolderFailure {
    init(fileExists path: String) {
        description =
            "\(path) already exists, and nothing was changed; choose another name, or another folder with --to"
    }
}
