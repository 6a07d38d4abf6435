import CoreMetrics
import Foundation
import JobEngine
import Logging
package import PetrelKit
import PetrelSupport
import ProcessModule

/// Shell commands that people call from chat: each call is a job, whose output and end are recorded.
package final class JobsModule: BotModule {
    package static let moduleName = "jobs"
    package let name = "jobs"
    /// True, so that records of an earlier run are read before anyone asks for them.
    package let preparesItself = true
    let center: JobCenter
    private let hasWeb: Bool
    private let relay: LogRelay
    /// The routes of the HTTP API.
    package let routes: [WebRoute]

    init(_ settings: JobsSettings, _ host: ModuleHost, programs: ModuleHost, hasWeb: Bool) {
        center = JobCenter(settings, host, programs: programs)
        self.hasWeb = hasWeb
        relay = LogRelay(settings.logRelay, host)
        routes = JobRoutes(center, center.tokens).routes + [relay.route]
        center.catops.onChange { [weak self] in self.map { $0.center.host.commands.publish($0.commands) } }
    }

    package var commands: [Command] {
        let base = JobCommands(center: center)
        center.loadScripts()
        return center.definitions.map { center.command($0) } + base.commands
            + ScriptCommands(base: base, scripts: center.scripts).commands
            + AliasCommands(base: base, aliases: center.aliases).commands
            + TokenCommands(base: base, tokens: center.tokens, hasWeb: hasWeb).commands
    }

    /// Replaces the commands and the settings. Jobs that run are not affected.
    func replace(_ settings: JobsSettings) {
        center.replace(settings)
        relay.replace(settings.logRelay)
        center.host.commands.publish(commands)
    }

    package func run() async throws {
        center.engine.reopen()
        await withTaskGroup { group in
            // Jobs can start and have to end whether or not the records of earlier runs can be read.
            group.addTask {
                await self.center.restore { self.center.host.commands.ready() }
                await self.center.keepTrimming()
            }
            group.addTask { await self.center.watchScripts { self.center.host.commands.publish(self.commands) } }
            await center.engine.run()
            group.cancelAll()
        }
    }
}

extension JobsModule: StatusReporting {
    /// Returns a line about the pool and the records.
    package func status() -> [StatusLine] {
        let load = center.engine.load
        var detail = "\(load.running) of \(load.pool) running, \(load.waiting) waiting"
        let (problem, failures) = (center.restoreProblem.value, center.reader.failures)
        if let problem { detail += "; stored jobs, aliases and tokens cannot be read: \(problem)" }
        if failures > 0 { detail += "; \(failures) stored records cannot be read and were skipped, see the log" }
        return [
            StatusLine("jobs", isHealthy: problem == nil, detail), center.scriptStatus, center.functionStatus,
        ].compactMap(\.self)
    }
}

extension JobsModule: CommandRestoring {
    package func restoreCommands() async throws {
        center.catops.declared(try await ProcessModule.recalledCommands(from: center.host.storage))
    }
}

extension JobsModule: WorkCounting {
    /// Returns the number of jobs that run or wait.
    package func pendingWork() async -> Int {
        let load = center.engine.load
        return load.running + load.waiting
    }
}

extension JobsModule: WorkEnding {
    package func endWork(_ reason: String) { center.engine.stopAll(.interrupted(reason), grace: .seconds(1)) }
}

extension JobsModule: GaugeReporting {
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let load = center.engine.load
        return [
            ("petrel_jobs_running", [], Double(load.running)), ("petrel_jobs_queued", [], Double(load.waiting)),
        ]
    }
}

extension JobsModule: WebRoutes {}

extension JobsModule: LineExpanding {
    package func expanded(_ line: String, for caller: CommandCaller) -> String? {
        let expanded = center.aliases.expanded(line, of: caller.person, on: caller.backend)
        if expanded != nil { center.meters.aliased.increment() }
        return expanded
    }
}

extension JobsModule: Silencing {
    package func silence(towards caller: CommandCaller) -> CommandObjection? { center.stealthObjection(to: caller) }
}

extension JobsModule: UnknownAnswering {
    /// Returns the reply of the template `unknowncommand`, if the configuration sets it.
    package func answer(toUnknown line: String, of caller: CommandCaller) -> Reply? {
        center.meters.unknown.increment()
        let settings = center.settings
        // Nil stands for the reply of the host.
        if settings.format.styles[.unknowncommand] == .disabled { return Reply("") }
        guard settings.answersUnknown else { return nil }
        // The rest of the line may contain a secret.
        let values = center.values(of: caller, Printable.line(line.firstWord.word))
        return center.writer(settings.format).reply(.unknowncommand, values, kind: .error)
    }
}

extension JobsModule: ActivityReporting {
    package func activities(_ query: ActivityQuery) async throws -> [Activity] {
        var status: JobRecord.Status?
        if let text = query.status { status = try JobRecord.Status.required(text) }
        let names = query.person.map { [$0, "@" + $0] }
        let search = try await center.book.newest(query.limit) { job in
            guard status == nil || job.status == status else { return false }
            return names.map { names in
                names.contains { $0.utf8.elementsEqual(job.person.utf8) || $0.utf8.elementsEqual(job.personName.utf8) }
            } ?? true
        }
        let activities = search.jobs.map { job in
            Activity(
                time: job.started ?? job.created,
                line: JobLines.line(job, hidesRoom: JobLines.hidesRoom(of: job, from: query.caller)))
        }
        // It is older than the jobs, so that it follows them in every list.
        return activities + (search.end.map { [Activity(time: $0.created, line: JobLines.limit($0))] } ?? [])
    }
}
