import JobEngine
import PetrelKit
import PetrelSupport
import ProcessModule

/// The commands that are functions of plug-ins for CatOps, and the output of the calls that are running.
final class CatOpsLibrary: CommandRecording {
    private struct State: Sendable {
        var settings: CatOpsSettings?
        var functions: [DeclaredCommand] = []
        var logs: [String: JobLog] = [:]
        var changed: @Sendable () -> Void = {}
    }

    private let state: Locked<State>

    init(_ settings: CatOpsSettings?) { state = Locked(State(settings: settings)) }

    /// The commands, in the order in which the program has declared them.
    var definitions: [CommandDefinition] {
        let (settings, functions) = state.withLock { ($0.settings, $0.functions) }
        return settings.map { settings in functions.map { settings.definition(of: $0) } } ?? []
    }

    /// Calls a closure after each change of the functions.
    func onChange(_ changed: @escaping @Sendable () -> Void) { state.withLock { $0.changed = changed } }

    /// Replaces the settings. Calls that are running are not affected.
    func replace(_ settings: CatOpsSettings?) { state.withLock { $0.settings = settings } }

    func declared(_ functions: [DeclaredCommand]) {
        let changed = state.withLock { state in
            state.functions = functions
            return state.changed
        }
        changed()
    }

    func printed(_ text: String, on stream: PrintedStream, by call: String) async {
        // A call that was given up has no log any more.
        await state.withLock { $0.logs[call] }?.write(Array(text.utf8), from: stream == .output ? .output : .error)
    }

    /// Writes what a call prints to a log, until the closure returns.
    func record<Value>(_ call: String, to log: JobLog, _ body: () async -> Value) async -> Value {
        state.withLock { $0.logs[call] = log }
        defer { state.withLock { $0.logs[call] = nil } }
        return await body()
    }
}

extension JobCenter {
    /// The functions of plug-ins for CatOps whose names are those of other commands of this module, which come first.
    var takenFunctions: [String] {
        let taken = takenNames
        return catops.definitions.map(\.name).filter { isTaken($0, taken) }
    }

    /// Returns true if another command has the name of a function, or is a built-in one or one of another module whose
    /// arguments the function would take.
    private func isTaken(_ name: String, _ taken: Set<String>) -> Bool {
        if taken.contains(Command.key(name)) { return true }
        return Command.beginnings(of: name).contains { beginning in
            if builtInNames.contains(beginning) { return true }
            guard let module = host.commands.module(having: beginning) else { return false }
            return module != host.module
        }
    }

    private var builtInNames: Set<String> {
        Set((JobCommands.names + [ScriptCommands.name]).map { Command.key(line($0)) })
    }

    /// The keys of the commands that functions do not replace.
    private var takenNames: Set<String> {
        builtInNames.union((settings.commands + scripts.definitions).map { Command.key($0.name) })
    }

    /// The commands of plug-ins for CatOps, without those whose names are taken.
    var functions: [CommandDefinition] {
        let functions = catops.definitions
        if functions.isEmpty { return [] }
        let taken = takenNames
        return functions.filter { !isTaken($0.name, taken) }
    }

    /// Returns a line of the status about functions that cannot be called; nil if all can be called.
    var functionStatus: StatusLine? {
        let names = takenFunctions
        guard !names.isEmpty else { return nil }
        let shown = names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
        return StatusLine(
            CatOpsSettings.module, isHealthy: false,
            "cannot be called, because other commands have these names, or begin as they do: \(shown)")
    }
}
