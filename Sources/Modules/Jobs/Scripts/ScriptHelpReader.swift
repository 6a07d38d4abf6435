import Foundation
import JobEngine
import PetrelSupport

/// Reads the help of scripts, and remembers it until their files change.
final class ScriptHelpReader: Sendable {
    private struct State: Sendable {
        var help: [ScriptFile: ScriptHelp] = [:]
        /// The files whose option was used, or that do not have it.
        var asked: Set<ScriptFile> = []
        var problems: [ScriptFile: String] = [:]
    }

    /// The number of scripts that are asked at once.
    private static let width = 4
    private static let timeout = Duration.seconds(5)
    private static let longest = 64 << 10

    private let environment: [String: String]
    private let state = Locked(State())

    /// - Parameter environment: The environment that scripts inherit.
    init(environment: [String: String]) { self.environment = environment }

    /// Returns what is known about a script: at first its comment.
    func help(of file: ScriptFile) -> ScriptHelp {
        if let known = state.withLock({ $0.help[file] }) { return known }
        let help = ScriptHelp(commentOf: file.path)
        state.withLock { $0.help[file] = help }
        return help
    }

    /// Returns the reason for which the help of a script could not be read, as a clause; nil if it was read.
    func problem(of file: ScriptFile) -> String? { state.withLock { $0.problems[file] } }

    /// Forgets the files that do not exist any more.
    func keep(_ files: [ScriptFile]) {
        let current = Set(files)
        state.withLock { state in
            state.help = state.help.filter { current.contains($0.key) }
            state.problems = state.problems.filter { current.contains($0.key) }
            state.asked.formIntersection(current)
        }
    }

    /// Asks the scripts that offer it for their help. Returns true if anything was learned.
    func ask(_ files: [(file: ScriptFile, settings: ScriptSettings)]) async -> Bool {
        let new = files.filter { file, _ in state.withLock { $0.asked.insert(file).inserted } }
        let due = new.filter { ScriptHelp.offersOption($0.file.path) }
        await withTaskGroup(of: Void.self) { group in
            for (index, item) in due.enumerated() {
                if index >= Self.width { await group.next() }
                group.addTask { await self.ask(item.file, item.settings) }
            }
        }
        return !due.isEmpty
    }

    private func ask(_ file: ScriptFile, _ settings: ScriptSettings) async {
        let comment = help(of: file)
        do {
            var help = try await Self.ask(file, environment.merging(settings.template.environment) { $1 }, settings)
            if help.summary.isEmpty { help.summary = comment.summary }
            help.answer = comment.answer
            let whole = help
            state.withLock { $0.help[file] = whole }
        } catch {
            let problem = "its answer to \(ScriptHelp.option) cannot be used: \(error)"
            state.withLock { $0.problems[file] = problem }
        }
    }

    private static func ask(
        _ file: ScriptFile, _ environment: [String: String], _ settings: ScriptSettings
    ) async throws(AnswerReply.Problem) -> ScriptHelp {
        if let objection = file.objection() { throw AnswerReply.Problem(objection) }
        var environment = environment
        environment["PATH"] = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        let sink = BoundedOutput(longest)
        let program = RunningProgram(
            Program(
                file.path, [ScriptHelp.option], environment: environment, folder: settings.template.folder,
                timeout: timeout), to: sink)
        // In a task of its own, because the program must end also if this task is cancelled.
        let end = await Task { await program.run() }.value
        guard end.status == .exited(0), end.cause == nil else {
            throw AnswerReply.Problem(
                end.cause == .timedOut ? "it took longer than \(timeout.inWords)" : "it ended with \(end.status)")
        }
        guard let bytes = sink.bytes else { throw AnswerReply.Problem("it is longer than \(longest) bytes") }
        return try ScriptHelp(json: bytes, of: file.name)
    }
}

/// The standard output of a program, up to a limit.
final class BoundedOutput: OutputSink {
    private let limit: Int
    private let state = Locked((bytes: [UInt8](), isTooLong: false))

    init(_ limit: Int) { self.limit = limit }

    /// The output; nil if it is longer than the limit.
    var bytes: [UInt8]? { state.withLock { $0.isTooLong ? nil : $0.bytes } }

    func write(_ bytes: [UInt8], from stream: ProgramStream) async {
        guard stream == .output else { return }
        state.withLock { state in
            if state.bytes.count + bytes.count > limit { state.isTooLong = true }
            if !state.isTooLong { state.bytes += bytes }
        }
    }
}
