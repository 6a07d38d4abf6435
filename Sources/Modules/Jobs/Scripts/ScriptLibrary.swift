import Dispatch
import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// The commands that come from files in folders.
final class ScriptLibrary: Sendable {
    private struct State: Sendable {
        var settings: [ScriptSettings] = []
        var files: [Item] = []
        var definitions: [CommandDefinition] = []
        /// The files and folders that the last look refused.
        var refused: [ScriptProblem] = []
        var problems: [ScriptProblem] = []
        var isLoaded = false
        /// The reason that was logged for looking at intervals only.
        var pollingReason: String?
    }

    /// A file, and the settings of its folder.
    private struct Item: Sendable {
        var file: ScriptFile
        var settings: ScriptSettings
    }

    /// The time for which changes are collected, because a program is copied in several steps.
    private static let settling = Duration.milliseconds(50)
    /// The number of looks at folders that are not watched yet.
    private static let mostLooks = 3

    private let state: Locked<State>
    private let help: ScriptHelpReader
    private let watch: FolderWatch
    private let queue = DispatchQueue(label: "petrel.scripts.folders")
    private let logger: Logger

    init(
        _ settings: [ScriptSettings], environment: [String: String], _ logger: Logger,
        watch: FolderWatch = FolderWatch()
    ) {
        state = Locked(State(settings: settings))
        self.watch = watch
        help = ScriptHelpReader(environment: environment)
        self.logger = logger
    }

    /// The commands, sorted by their names.
    var definitions: [CommandDefinition] { state.withLock { $0.definitions } }
    /// The files and folders that are not loaded, and those whose help cannot be used.
    var problems: [ScriptProblem] { state.withLock { $0.problems } }
    /// The folders of the settings.
    var directories: [String] { state.withLock { $0.settings.map(\.directory) } }
    /// True if there is any folder.
    var isActive: Bool { state.withLock { !$0.settings.isEmpty } }
    /// The reason for which folders are looked at only at intervals, as a clause; nil if the system reports changes.
    var pollingReason: String? { isActive ? watch.problem : nil }

    /// Replaces the settings; the folders are looked at soon.
    func replace(_ settings: [ScriptSettings]) {
        state.withLock { state in
            state.settings = settings
            state.isLoaded = false
        }
        watch.wake()
    }

    /// Looks at the folders, unless that was done with these settings.
    /// - Parameter owner: returns who has a command of this name, as a phrase; nil if the name is free.
    func loadOnce(_ owner: (String) -> String?) {
        if !state.withLock({ $0.isLoaded }) { _ = load(owner) }
    }

    /// Keeps the commands up to date, until it is cancelled.
    /// - Parameter publish: a closure that is called after each change.
    func run(_ owner: @escaping @Sendable (String) -> String?, publish: @Sendable () -> Void) async {
        defer { watch.end() }
        while !Task.isCancelled {
            // Changes during the look are noticed, too.
            let change = watch.next()
            if await Self.on(queue, { self.load(owner) }) { publish() }
            let (items, refused, loaded) = state.withLock {
                ($0.files, $0.refused, Set($0.definitions.compactMap(\.script)))
            }
            // Files that make no command are not run either.
            let asked = items.filter { loaded.contains($0.file) }.map { ($0.file, $0.settings) }
            if await help.ask(asked), assemble(items, owner, refused) { publish() }
            await watch.wait(for: change)
            // Sleeping fails only if the task is cancelled.
            try? await Task.sleep(for: Self.settling)
        }
    }

    /// Looks at the folders. Returns true if anything has changed.
    private func load(_ owner: (String) -> String?) -> Bool {
        let settings = state.withLock { $0.settings }
        var scans = settings.map { ScriptScan($0) }
        for _ in 0..<Self.mostLooks where watch.watch(scans.flatMap(\.folders) + settings.map(\.directory)) {
            // Nobody reports what has changed before the watch.
            scans = settings.map { ScriptScan($0) }
        }
        let items = zip(scans, settings).flatMap { scan, settings in
            scan.files.map { Item(file: $0, settings: settings) }
        }
        help.keep(items.map(\.file))
        tellPolling()
        return assemble(items, owner, scans.flatMap(\.problems))
    }

    /// Logs why folders are looked at only at intervals, once for each reason.
    private func tellPolling() {
        let reason = pollingReason
        let isNew = state.withLock { state in
            defer { state.pollingReason = reason }
            return state.pollingReason != reason
        }
        guard isNew else { return }
        if let reason {
            logger.notice(
                "Changes of scripts are looked for every two seconds, because the system reports none: \(reason).")
        } else {
            logger.notice("The system reports changes of scripts again.")
        }
    }

    /// Makes the commands of files. Returns true if anything has changed.
    /// - Parameter refused: the files and folders that were refused.
    private func assemble(_ items: [Item], _ owner: (String) -> String?, _ refused: [ScriptProblem]) -> Bool {
        let names = ScriptNames(items.map(\.file))
        var (definitions, problems): ([CommandDefinition], [ScriptProblem]) = ([], [])
        for item in items {
            let file = item.file
            if let problem = names.problem(of: file, owner) {
                problems.append(problem)
            } else {
                definitions.append(item.settings.definition(of: file, help.help(of: file)))
                if let problem = names.overlap(of: file) { problems.append(problem) }
                if let problem = help.problem(of: file) {
                    problems.append(ScriptProblem(path: file.shownPath, reason: problem))
                }
            }
        }
        return replace(items, definitions.sorted { $0.name < $1.name }, problems, refused)
    }

    private func replace(
        _ items: [Item], _ definitions: [CommandDefinition], _ problems: [ScriptProblem], _ refused: [ScriptProblem]
    ) -> Bool {
        let all = refused + problems
        let (isSame, new, isOther) = state.withLock { state in
            let old = state
            (state.files, state.definitions, state.refused) = (items, definitions, refused)
            (state.problems, state.isLoaded) = (all, true)
            let isOther = !old.isLoaded || old.definitions.map(\.name) != definitions.map(\.name)
            let isSame =
                !isOther && old.problems == all && old.files.map(\.file) == items.map(\.file)
                && zip(old.definitions, definitions).allSatisfy { $0.help == $1.help }
            let known = Set(old.problems)
            return (isSame, all.filter { !known.contains($0) }, isOther)
        }
        if isOther, isActive { logger.notice("Scripts: \(definitions.count) loaded.") }
        for problem in new.prefix(50) { logger.warning("Script \(problem.line).") }
        if new.count > 50 { logger.warning("\(new.count - 50) more scripts have problems.") }
        return !isSame
    }

    /// Returns the reason for which a file must not be run, as it is now; nil if it may.
    func objection(to file: ScriptFile) async -> String? { await Self.on(.global()) { file.objection() } }

    /// Runs a look at files apart from the chat, because disks may be slow.
    private static func on<Value: Sendable>(
        _ queue: DispatchQueue, _ work: @escaping @Sendable () -> Value
    ) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: work()) }
        }
    }
}
