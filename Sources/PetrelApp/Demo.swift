import ArgumentParser
import Logging
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport

/// The command `petrel demo`.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Chat with the bot in the terminal, with simulated services and without configuration.")

    @Option(help: "Seconds to wait for results after the end of standard input.")
    var linger = 10

    func validate() throws { try LaunchOptions(linger: linger).validate() }

    func run() async throws {
        do {
            let catalog = Catalog.current
            let options = LaunchOptions(linger: linger)
            try await Self.with(catalog.demo[...], options, [:]) { sections in
                let bot = try Bot.build(
                    Configuration.read(sections, catalog, options: options), store: Store(),
                    log: LineLogHandler.Control(level: .warning), catalog: catalog)
                try await bot.run()
            }
        } catch {
            throw ExitStatus.of(error)
        }
    }

    /// Runs the parts nested in each other, and the body inside all of them.
    private static func with(
        _ parts: ArraySlice<any DemoPart.Type>, _ options: LaunchOptions, _ sections: [String: JSONValue],
        _ body: @escaping @Sendable ([String: JSONValue]) async throws -> Void
    ) async throws {
        guard let part = parts.first else { return try await body(sections) }
        try await part.run(options) { more in
            let all = sections.merging(more) { first, _ in first }
            try await with(parts.dropFirst(), options, all, body)
        }
    }
}
