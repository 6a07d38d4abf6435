import Foundation
import JobEngine
package import PetrelKit
import PetrelSupport

/// The scripts of a configuration, to run one without chat.
package struct ScriptTrial: Sendable {
    /// The outcome of a run.
    package struct Outcome: Sendable {
        /// The exit code; 1 if the script did not exit by itself.
        package var status: Int32
        /// The replies as text.
        package var replies: [String]
        /// Remarks about the run, as sentences.
        package var notes: [String]
    }

    /// The maximum size of the output.
    private static let longest = 1 << 20

    private let settings: JobsSettings

    /// Reads the section `jobs`.
    package init(_ section: SettingsSection) { settings = JobsSettings(section) }

    /// Runs a script and returns its replies. Standard error is passed through.
    package func run(_ name: String, _ arguments: [String], by person: Person, in room: Room?) async throws -> Outcome {
        let definition = try definition(of: name)
        let sink = TrialOutput(Self.longest)
        let program = RunningProgram(try self.program(definition, arguments, person, room), to: sink)
        // In a task of its own, because the program must end also if this task is cancelled.
        let end = await Task { await program.run() }.value
        var outcome = Outcome(status: 1, replies: [], notes: [])
        switch (end.status, end.cause) {
        case (.exited(let code), nil): outcome.status = code
        case (_, .timedOut?):
            outcome.notes.append("It timed out after \(definition.timeout?.inWords ?? "a while").")
        case (.signalled(let number), _): outcome.notes.append("It was ended by signal \(number).")
        case (.notStarted(let reason), _): outcome.notes.append("It could not be started: \(reason).")
        case (.exited, _), (.answered, _): break
        }
        read(sink.output, definition, &outcome)
        return outcome
    }

    private func read(_ output: [UInt8]?, _ definition: CommandDefinition, _ outcome: inout Outcome) {
        guard let output else {
            return outcome.notes.append("It printed more than \(Self.longest) bytes; chat would show the beginning.")
        }
        let text = ShownText.clean(String(decoding: output, as: UTF8.self))
        guard outcome.status == 0, definition.answer == .json else {
            if outcome.status != 0 { outcome.notes.append("Chat would show that the command failed.") }
            return outcome.replies = text.isEmpty ? [] : [text]
        }
        switch AnswerDocument(output) {
        case .replies(let replies): outcome.replies = replies.map(Self.text)
        case .text: outcome.replies = text.isEmpty ? [] : [text]
        case .unreadable(let reason):
            outcome.replies = [text]
            outcome.notes.append("The output is not a reply in JSON, and is said as text: \(reason).")
        }
        if outcome.replies.isEmpty { outcome.notes.append("It has no answer.") }
    }

    private static func text(_ reply: AnswerReply) -> String {
        var lines = [reply.text] + reply.attachments.map(\.text)
        if !reply.suggestions.isEmpty {
            lines.append("Next: " + reply.suggestions.map(\.line).joined(separator: " · "))
        }
        if reply.isPrivate { lines.append("(Only the user who asked sees this reply.)") }
        return lines.filter { !$0.isEmpty }.joined(separator: "\n")
    }

    /// Returns the definition of a script. Throws the reason for which it is not loaded.
    private func definition(of name: String) throws -> CommandDefinition {
        guard !settings.scripts.isEmpty else { throw Refusal("The configuration has no section jobs.scripts.") }
        var names: [String] = []
        for folder in settings.scripts {
            let scan = ScriptScan(folder)
            let found = scan.files.filter { Command.key($0.name) == Command.key(name) }
            if found.count > 1 {
                throw Refusal("Two files have this name: \(found.map(\.shownPath).joined(separator: ", ")).")
            }
            if let file = found.first { return folder.definition(of: file, ScriptHelp(commentOf: file.path)) }
            let refused = scan.problems.first { problem in
                problem.path == folder.directory
                    || ScriptFile.name(
                        of: problem.path.utf8.split(separator: 0x2F).last.map { "\(Substring($0))" } ?? "")
                        == name
            }
            if let refused { throw Refusal("\(refused.line).") }
            names += scan.files.map(\.name)
        }
        let near = Nearness.nearest(to: name, among: names, limit: 1).first.map { " Did you mean \($0)?" } ?? ""
        let folders = settings.scripts.map(\.directory).joined(separator: ", ")
        throw Refusal("There is no script \(Printable.name(name)) in \(folders).\(near)")
    }

    private func program(
        _ definition: CommandDefinition, _ arguments: [String], _ person: Person, _ room: Room?
    ) throws -> Program {
        var environment = settings.environment.merging(definition.environment) { $1 }
        environment["PETREL_USER"] = person.name
        environment["PETREL_USER_ID"] = person.id
        environment["PETREL_ROOM"] = room?.name ?? ""
        environment["PETREL_BACKEND"] = "trial"
        environment["PETREL_JOB_ID"] = "1"
        environment["PATH"] = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        var program = Program(
            definition.program, arguments, environment: environment, folder: definition.folder,
            timeout: definition.timeout)
        guard definition.hasInput else { return program }
        let words = [definition.name] + arguments
        program.input = try CallDocument(
            arguments: words, text: words.joined(separator: " "),
            caller: CommandCaller(person: person, room: room, backend: "trial"), job: 1
        ).bytes
        return program
    }
}

/// Keeps standard output, and passes standard error through.
private final class TrialOutput: OutputSink {
    private let bounded: BoundedOutput

    init(_ limit: Int) { bounded = BoundedOutput(limit) }

    var output: [UInt8]? { bounded.bytes }

    func write(_ bytes: [UInt8], from stream: ProgramStream) async {
        guard stream == .error else { return await bounded.write(bytes, from: stream) }
        let text = Printable.text(String(decoding: bytes, as: UTF8.self))
        if !text.isEmpty { StandardStream.error.write(text + "\n", within: .seconds(2)) }
    }
}
