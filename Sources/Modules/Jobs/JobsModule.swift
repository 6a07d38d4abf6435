import Foundation
import JobEngine
import Logging
package import PetrelKit
import PetrelSupport

/// Shell commands that people call from chat: each call is a job, whose output and end are recorded.
package final class JobsModule: BotModule {
    package static let moduleName = "jobs"
    package let name = "jobs"
    /// True, so that records of an earlier run are read before anyone asks for them.
    package let preparesItself = true
    let center: JobCenter

    init(_ settings: JobsSettings, _ host: ModuleHost) { center = JobCenter(settings, host) }

    package var commands: [Command] {
        center.settings.commands.map { center.command($0) } + JobCommands(center: center).commands
    }

    /// Replaces the commands and the settings. Jobs that run are not affected.
    func replace(_ settings: JobsSettings) {
        center.replace(settings)
        center.host.commands.publish(commands)
    }

    package func run() async throws {
        do {
            try await center.restore()
        } catch {
            center.host.commands.ready()
            throw error
        }
        center.engine.reopen()
        center.host.commands.ready()
        await withTaskGroup { group in
            group.addTask { await self.center.keepTrimming() }
            await center.engine.run()
            group.cancelAll()
        }
    }
}

extension JobsModule: StatusReporting {
    /// Returns a line about the pool.
    package func status() -> [StatusLine] {
        let load = center.engine.load
        return [
            StatusLine(
                "jobs", isHealthy: true, "\(load.running) of \(load.pool) running, \(load.waiting) waiting")
        ]
    }
}

extension JobsModule: GaugeReporting {
    package func gauges() -> [(name: String, labels: [(String, String)], value: Double)] {
        let load = center.engine.load
        return [
            ("petrel_jobs_running", [], Double(load.running)), ("petrel_jobs_queued", [], Double(load.waiting)),
        ]
    }
}
