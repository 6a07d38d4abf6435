package import Foundation
import PetrelKit
import PetrelSupport

/// A process of the built program, or of a program of the system.
package final class Program: Sendable {
    private let process: Process
    private let input = Pipe()
    private let out = Pipe()
    private let output: LineCollector
    private let errors: LineCollector
    private let exited = Signal()
    private let isInputOpen = Locked(true)

    /// The path of the built program, next to the test bundle or the running executable.
    package static let path: String = {
        var folder = Bundle(for: Marker.self).bundleURL.deletingLastPathComponent()
        if !FileManager.default.fileExists(atPath: folder.appendingPathComponent("petrel").path) {
            folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        }
        return folder.appendingPathComponent("petrel").path
    }()

    private final class Marker {}

    /// - Parameters:
    ///   - isReading: False if standard output is not read until a line is requested.
    ///   - terminal: The standard input, in place of ``type(_:)``.
    package init(
        _ arguments: [String], of path: String = Program.path, in folder: URL? = nil,
        environment: [String: String] = [:], isReading: Bool = true, terminal: FileHandle? = nil
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        let err = Pipe()
        if let terminal { process.standardInput = terminal } else { process.standardInput = input }
        process.standardOutput = out
        process.standardError = err
        output = LineCollector(out.fileHandleForReading)
        errors = LineCollector(err.fileHandleForReading)
        if isReading { output.begin() }
        errors.begin()
        self.process = process
        process.terminationHandler = { [exited, input, isInputOpen] process in
            exited.open()
            // The process object keeps this closure, and this closure the pipe.
            process.terminationHandler = nil
            Self.close(input, isInputOpen)
        }
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// Writes a line to standard input. A line for a process that has exited is lost.
    package func type(_ line: String) {
        isInputOpen.withLock { isOpen in
            guard isOpen else { return }
            try? input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
        }
    }

    /// Closes standard input; an exit closes it, too.
    package func closeInput() { Self.close(input, isInputOpen) }

    private static func close(_ input: Pipe, _ isOpen: Locked<Bool>) {
        isOpen.withLock { isOpen in
            guard isOpen else { return }
            isOpen = false
            do { try input.fileHandleForWriting.close() } catch { assertionFailure("cannot close a pipe: \(error)") }
        }
    }

    package func closeOutput() throws { try out.fileHandleForReading.close() }

    /// The process identifier.
    package var id: Int32 { process.processIdentifier }

    package func signal(_ signal: Int32) { kill(process.processIdentifier, signal) }

    /// Returns the next line of standard output, or nil at its end.
    package func line() async -> String? { await output.next() }

    /// Returns the next line of standard output that contains a text, or nil at its end.
    package func line(with text: String) async -> String? {
        while let line = await output.next() { if line.contains(text) { return line } }
        return nil
    }

    /// Returns the next line of standard error that contains a text, or nil at its end.
    package func error(with text: String) async -> String? {
        while let line = await errors.next() { if line.contains(text) { return line } }
        return nil
    }

    /// Waits for the process to exit, without reading its output. Returns its status, or -1 if the task was cancelled.
    package func exit() async -> Int32 {
        await exited.wait()
        // The waiting task may have been cancelled.
        return process.isRunning ? -1 : process.terminationStatus
    }

    /// Waits for the process to exit. Returns its status and the unread part of standard output.
    package func end() async -> (status: Int32, output: String) {
        var rest: [String] = []
        while let line = await output.next() { rest.append(line) }
        await exited.wait()
        return (process.terminationStatus, rest.joined(separator: "\n"))
    }
}
