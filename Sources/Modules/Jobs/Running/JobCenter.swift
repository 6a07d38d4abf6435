import Foundation
import JobEngine
import Logging
import PetrelKit
import PetrelSupport
import ProcessModule

/// What the parts of the module share: the engine, the records, and the current settings.
final class JobCenter: Sendable {
    let host: ModuleHost
    let engine: JobEngine
    let book: JobBook
    let confirmations: Confirmations
    let logs: any LogCollection
    let meters: JobMeters
    let aliases: Aliases
    let tokens: Tokens
    let scripts: ScriptLibrary
    let catops: CatOpsLibrary
    /// The program that runs the plug-ins for CatOps.
    let program: ProcessModule
    /// The reader of records, which knows how many cannot be read.
    let reader: RecordReader
    /// The error of the last attempt to read what earlier runs have stored; nil if it succeeded.
    let restoreProblem = Locked<String?>(nil)
    private let current: Locked<JobsSettings>

    /// - Parameter programs: The host of the program that runs the plug-ins for CatOps.
    init(_ settings: JobsSettings, _ host: ModuleHost, programs: ModuleHost) {
        self.host = host
        current = Locked(settings)
        engine = JobEngine(settings.limits)
        reader = RecordReader(host.logger)
        book = JobBook(host.storage, reader)
        confirmations = Confirmations(host.storage, reader)
        logs = host.storage.logs("jobs")
        meters = JobMeters(host.metrics)
        let isSecret: @Sendable (String) -> Bool = { [rules = host.rules] in rules.masked($0).words != $0.words }
        aliases = Aliases(GuardedRecords("aliases", in: host.storage), reader, isSecret: isSecret)
        tokens = Tokens(GuardedRecords("tokens", in: host.storage), reader, isSecret: isSecret)
        scripts = ScriptLibrary(settings.scripts, environment: settings.environment, host.logger)
        catops = CatOpsLibrary(settings.catops)
        program = ProcessModule(
            settings.catops?.launch, named: CatOpsSettings.module, programs, recorder: catops)
    }

    /// False if the records of jobs that have ended are removed at once.
    var keepsRecords: Bool { host.storage.keepsRecords }
    /// The current settings.
    var settings: JobsSettings { current.value }
    /// The commands that start jobs, of all sources. Those of the configuration come first.
    var definitions: [CommandDefinition] { settings.commands + scripts.definitions + functions }

    /// Replaces the settings. Jobs that run are not affected.
    func replace(_ settings: JobsSettings) {
        current.withLock { $0 = settings }
        engine.update(settings.limits)
        scripts.replace(settings.scripts)
        catops.replace(settings.catops)
        program.replace(settings.catops?.launch)
    }

    /// Returns the line that calls a built-in command, without the prefix of the bot.
    func line(_ command: String) -> String {
        let prefix = settings.prefix
        return prefix.isEmpty ? command : "\(prefix) \(command)"
    }

    /// Returns the line that calls a built-in command, as it is typed.
    func typed(_ command: String) -> String { host.bot.prefix + line(command) }

    /// Returns the objection of `jobs.stealth` to a caller.
    func stealthObjection(to caller: CommandCaller) -> CommandObjection? {
        let settings = settings
        guard settings.isStealthy else { return nil }
        let isMember = host.rules.isListed(caller.person, on: caller.backend, in: settings.everyone)
        if caller.room == nil, isMember { return nil }
        return CommandObjection("jobs.stealth answers only members of groups, in direct chats", isSilent: true)
    }

    /// Returns the values of templates for a caller.
    func values(of caller: CommandCaller, _ command: String, _ arguments: [String] = []) -> ReplyValues {
        var values = ReplyValues()
        let person = caller.person
        values.user = String(person.name.unicodeScalars.drop { $0 == "@" })
        values.userLink = person.name
        values.userID = person.id
        values.isDirect = caller.room == nil
        if let room = caller.room {
            values.channel = String(room.name.unicodeScalars.drop { $0 == "#" })
            values.channelLink = room.name
            values.channelID = room.id
        }
        values.command = command
        values.arguments = arguments
        return values
    }

    func writer(_ format: ReplyFormat) -> ReplyWriter { ReplyWriter(format: format, logger: host.logger) }
}
