import Foundation
import Subprocess
import SystemPackage

/// The file of a program.
package enum ProgramFile {
    /// Returns the reason for which a file cannot be run as a program, as the rest of a sentence; nil if none is seen.
    package static func objection(to path: String) -> String? {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { return "does not exist" }
        if isFolder.boolValue { return "is a folder" }
        if !FileManager.default.isExecutableFile(atPath: path) { return "is not executable" }
        guard let interpreter = interpreter(of: path), !FileManager.default.fileExists(atPath: interpreter) else {
            return nil
        }
        if interpreter.utf8.last == 0x0D { return "has the line ends of Windows, so that its #! line does not work" }
        return "begins with #!\(interpreter), which does not exist"
    }

    /// Returns the path of the program with this name in the absolute folders of `PATH`; nil if it is not found.
    package static func path(of name: String, in folders: String) -> String? {
        // A relative folder is another one for each working directory.
        folders.utf8.split(separator: UInt8(ascii: ":")).filter { $0.first == UInt8(ascii: "/") }
            .map { "\(Substring($0))/\(name)" }.first { objection(to: $0) == nil }
    }

    /// Returns the interpreter in the first line of a script; nil for other files.
    private static func interpreter(of path: String) -> String? {
        guard let file = FileHandle(forReadingAtPath: path) else { return nil }
        // A file that cannot be read may be a program nevertheless.
        defer { try? file.close() }
        guard let head = try? file.read(upToCount: 256), head.starts(with: Array("#!".utf8)) else { return nil }
        let line = head.dropFirst(2).prefix { $0 != 0x0A }
        let words = line.split { $0 == 0x20 || $0 == 0x09 }
        return words.first.map { String(decoding: $0, as: UTF8.self) }
    }
}

extension Program {
    /// Returns the reason for which the program could not be started, as a clause.
    func reason(for error: any Error) -> String {
        if let objection = folder.flatMap(Self.objection(toFolder:)) { return objection }
        guard executable.utf8.contains(UInt8(ascii: "/")) else {
            if ProgramFile.path(of: executable, in: environment["PATH"] ?? "") == nil {
                return "there is no program \(executable) in PATH"
            }
            return text(error)
        }
        if let objection = ProgramFile.objection(to: executable) { return "\(executable) \(objection)" }
        return text(error)
    }

    /// Returns the reason for which a program cannot start in a folder, as a clause; nil if none is seen.
    private static func objection(toFolder path: String) -> String? {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            return "the folder \(path) does not exist"
        }
        if !isFolder.boolValue { return "\(path) is not a folder" }
        return FileManager.default.isExecutableFile(atPath: path) ? nil : "the folder \(path) cannot be entered"
    }

    /// Returns the reason that the system gives.
    private func text(_ error: any Error) -> String {
        switch (error as? SubprocessError)?.underlyingError ?? error as? Errno {
        case .execFormatError?:
            "\(executable) is neither a program of this machine nor a script that begins with a line such as #!/bin/sh"
        case .textFileBusy?: "\(executable) is being written at the moment"
        case .argListTooLong?: "its arguments, or its environment, are longer than the system allows"
        case let reason?: "\(executable) could not be started: \(reason)"
        case nil: "\(executable) could not be started: \(error)"
        }
    }
}
