import Foundation
import JobEngine
package import PetrelKit
package import PetrelSupport

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
    /// The number of bytes of a longer output that are shown.
    private static let shown = 4_000

    private let settings: JobsSettings
    private let owner: @Sendable (String) -> String?

    /// Reads the section `jobs`.
    /// - Parameter owner: Returns who has a command of this name besides the section, as a phrase; nil if it is free.
    package init(_ section: SettingsSection, owner: @escaping @Sendable (String) -> String?) {
        settings = JobsSettings(section)
        self.owner = owner
    }

    /// Runs a script and returns its replies. Standard error is passed through.
    /// - Parameter interruption: A signal that stops the script when it is opened.
    package func run(
        _ name: String, _ arguments: [String], by person: Person, in room: Room?, until interruption: Signal
    ) async throws -> Outcome {
        let definition = try definition(of: name)
        let sink = TrialOutput(Self.longest)
        defer { sink.finish() }
        let caller = CommandCaller(person: person, room: room, backend: "trial")
        let call = ProgramCall(arguments: arguments, caller: caller, job: 1)
        let program = RunningProgram(try definition.program(for: call, inheriting: settings.environment), to: sink)
        let watch = Task {
            await interruption.wait()
            if interruption.isOpen { program.stop(.cancelled(by: nil)) }
        }
        defer { watch.cancel() }
        // In a task of its own, because the program must end also if this task is cancelled.
        let end = await Task { await program.run() }.value
        var outcome = Outcome(status: 1, replies: [], notes: [])
        if let other = longerName([name] + arguments) {
            outcome.notes.append("In chat, this line would call \(Printable.name(other)).")
        }
        switch (end.status, end.cause) {
        case (.exited(let code), nil): outcome.status = code
        case (_, .timedOut?):
            outcome.notes.append("It timed out after \(definition.timeout?.inWords ?? "a while").")
        case (_, .cancelled?): outcome.notes.append("It was stopped.")
        case (.signalled(let number), _): outcome.notes.append("It was ended by signal \(number).")
        case (.notStarted(let reason), _): outcome.notes.append("It could not be started: \(reason).")
        case (.exited, _), (.answered, _): break
        }
        if sink.isCut {
            outcome.replies = [Self.text(sink.output.prefix(Self.shown))]
            outcome.notes.append("It printed more than \(Self.longest) bytes; chat shows the beginning.")
        } else {
            read(sink.output, definition, &outcome)
        }
        return outcome
    }

    /// Returns the script whose name consists of the first words of a line, at least two; nil if no script has such a name.
    private func longerName(_ words: [String]) -> String? {
        let names = settings.scripts.flatMap { ScriptScan($0).files.map(\.name) }
        let byKey = Dictionary(names.map { (Command.key($0), $0) }) { first, _ in first }
        return (2...max(2, words.count)).reversed().lazy.compactMap { count in
            words.count < count ? nil : byKey[Command.key(words.prefix(count).joined(separator: " "))]
        }.first
    }

    private func read(_ output: [UInt8], _ definition: CommandDefinition, _ outcome: inout Outcome) {
        let text = Self.text(output)
        guard outcome.status == 0, definition.answer == .json else {
            if outcome.status != 0 { outcome.notes.append("Chat would show that the command failed.") }
            return outcome.replies = text.isEmpty ? [] : [text]
        }
        switch AnswerDocument(output) {
        case .replies(let replies):
            outcome.replies = replies.map(Self.text)
            outcome.notes += replies.flatMap(\.notes).map { "The output: \($0)." }
        case .text: outcome.replies = text.isEmpty ? [] : [text]
        case .unreadable(let reason, let isPrivate):
            outcome.replies = [text]
            if isPrivate { outcome.notes.append("Only the user who asked would see it.") }
            outcome.notes.append("The output is not a reply in JSON, and is said as text: \(reason).")
        }
        if outcome.replies.isEmpty { outcome.notes.append("It has no answer.") }
    }

    /// Returns an output as chat shows it.
    private static func text(_ output: some Sequence<UInt8>) -> String {
        var text = TerminalText(at: 0)
        text.add(output)
        return ShownText.clean(String(decoding: text.bytes, as: UTF8.self))
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
        let scans = settings.scripts.map { ($0, ScriptScan($0)) }
        let all = ScriptNames(scans.flatMap { $1.files })
        for (folder, scan) in scans {
            if let file = scan.files.first(where: { Command.key($0.name) == Command.key(name) }) {
                if let problem = all.problem(of: file, { settings.owner(ofCommand: $0) ?? owner($0) }) {
                    throw Refusal("\(problem.line).")
                }
                return folder.definition(of: file, ScriptHelp(commentOf: file.path))
            }
            let refused = scan.problems.first { problem in
                problem.path == folder.directory
                    || ScriptFile.name(
                        of: problem.path.utf8.split(separator: 0x2F).last.map { "\(Substring($0))" } ?? "")
                        == name
            }
            if let refused { throw Refusal("\(refused.line).") }
            names += scan.files.map(\.name)
        }
        // The name of a file, as a shell completes it, or else a typing error.
        let last = name.utf8.split(separator: UInt8(ascii: "/")).last.map { String(Substring($0)) } ?? name
        let stem = ScriptFile.name(of: last) ?? last
        let own = names.first { $0.utf8.elementsEqual(stem.utf8) }
        let near =
            (own ?? Nearness.nearest(to: stem, among: names, limit: 1).first).map { " Did you mean \($0)?" } ?? ""
        let folders = settings.scripts.map(\.directory).joined(separator: ", ")
        throw Refusal("There is no script \(Printable.name(name)) in \(folders).\(near)")
    }
}
