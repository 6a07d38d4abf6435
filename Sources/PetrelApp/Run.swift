import ArgumentParser
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport

/// The command `petrel run`.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the bot.")

    @OptionGroup var file: ConfigOption

    @Option(help: "Seconds to wait for results after the end of standard input.")
    var linger: Int?

    func validate() throws { try LaunchOptions(linger: linger).validate() }

    func run() async throws {
        Memory.setUp()
        do {
            let options = LaunchOptions(linger: linger)
            let configuration = try Configuration.read(file.config, options: options)
            for warning in configuration.warnings { ExitStatus.say("warning: \(warning)") }
            let core = configuration.core
            let log = LineLogHandler.Control(level: core.logLevel, format: core.logFormat)
            let loop = EventLoopExecutor()
            let store = try Store(
                path: core.store.path, keys: KeyRing(core.store.key, environment: configuration.environment),
                later: loop.after)
            if let news = try store.checkKey() { ExitStatus.say(news) }
            if configuration.needsKey { try store.needKey() }
            let (path, catalog) = (file.config, Catalog.current)
            let bot = try Bot.build(configuration, store: store, log: log, on: loop) { host in
                Self.reload(path, catalog, over: configuration, host, log)
            }
            try await bot.run()
            try store.close()
            // Wait for the last log lines.
            StandardStream.error.write("", within: .seconds(2))
        } catch {
            throw ExitStatus.of(error)
        }
    }

    /// Reloads the settings that can change while the bot runs. A file with errors changes nothing. Returns the outcome,
    /// which is also logged.
    private static func reload(
        _ path: String, _ catalog: Catalog, over running: Configuration, _ host: Host, _ log: LineLogHandler.Control
    ) -> [String] {
        do {
            let configuration = try Configuration.read(path, catalog)
            // Rules apply to the running modules, not to those after a restart.
            host.dispatcher.update(configuration.core.policy(modules: running.moduleNames))
            log.set(level: configuration.core.logLevel, format: configuration.core.logFormat)
            let plugIns = configuration.modules.compactMap { $0 as? any Reloading }
            for plugIn in plugIns { plugIn.reload(host.modules) }
            let sections = plugIns.compactMap { type(of: $0).section }
            let parts = ["access rules", "administrators", "prefixes", "limits"] + sections + ["log settings"]
            let news =
                "The configuration was reloaded: \(parts.dropLast().joined(separator: ", ")) and \(parts.last ?? "") are "
                + "in effect."
            host.note(news)
            var problems = configuration.warnings.map { "\(path): \($0)" }
            let waiting = running.differences(to: configuration)
            if !waiting.isEmpty { problems.append("Changes in \(waiting.joined(separator: ", ")) require a restart.") }
            for problem in problems { host.warn(problem) }
            return [news] + problems
        } catch {
            let lines =
                ["The configuration was not reloaded; the previous one stays in effect."]
                + error.problems.map { "\(path): \($0)" }
            for line in lines { host.warn(line) }
            return lines
        }
    }
}
