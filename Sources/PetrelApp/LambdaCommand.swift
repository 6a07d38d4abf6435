import ArgumentParser
import Foundation
import LambdaRuntime
import Logging
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import ServiceLifecycle

/// The command `petrel lambda`.
struct LambdaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lambda", abstract: "Run as a function of AWS Lambda, which Slack calls.",
        discussion: """
            The function answers requests of API Gateway or of a function URL with the routes of the configuration. It \
            keeps no records. docs/Lambda.md describes the deployment.
            """)

    @OptionGroup var file: ConfigOption

    func run() async throws {
        guard let host = ProcessInfo.processInfo.environment["AWS_LAMBDA_RUNTIME_API"], !host.isEmpty else {
            throw ValidationError("AWS_LAMBDA_RUNTIME_API is not set: this command runs in AWS Lambda.")
        }
        guard URL(connectable: "http://\(host)/") != nil else {
            throw ValidationError("AWS_LAMBDA_RUNTIME_API must be a host with a port from 1 to 65535.")
        }
        Memory.setUp()
        let loop = EventLoopExecutor()
        let api = LambdaAPI(host, on: loop)
        do {
            try await bot(api, loop).run()
        } catch {
            // The process ends in any case; the reason is also in the log.
            try? await api.failInitialization("\(error)")
            throw ExitStatus.of(error)
        }
    }

    private func bot(_ api: LambdaAPI, _ loop: EventLoopExecutor) throws -> Bot {
        // Lambda runs the function as a user that does not own the image, and everybody has to be able to read it.
        let configuration = try Configuration.read(file.config, isShared: false)
        for warning in configuration.warnings { ExitStatus.say("warning: \(warning)") }
        let core = configuration.core
        let log = LineLogHandler.Control(level: core.logLevel, format: core.logFormat)
        let routes = Locked<LambdaRoutes?>(nil)
        let bot = try Bot.build(
            configuration, store: Store(keepsRecords: false), log: log, on: loop, patience: Self.patience,
            serve: { host, found, logger in
                routes.withLock { $0 = LambdaRoutes(found) }
                return LambdaService(
                    loop: LambdaLoop(
                        api, LambdaRoutes(found), HostWork(host: host), isProvisioned: Self.isProvisioned, logger))
            })
        bot.store.audit.limit(to: Self.auditBytes)
        guard routes.value?.takeCommands == true else {
            let message =
                "a backend slack with signing_secret is required: a function receives requests of Slack, and cannot use "
                + "Socket Mode (app_token)"
            throw ConfigurationFailure(
                file: file.config, problems: [SettingsProblem(path: "backends", message: message)])
        }
        return bot
    }

    /// The time for which commands wait until plug-ins are loaded. Whoever has sent one has no later chance: the name of a
    /// plug-in's command is unknown until then.
    private static let patience = Duration.seconds(60)

    /// True if Lambda has started the process before there is a request for it.
    private static var isProvisioned: Bool {
        ProcessInfo.processInfo.environment["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"
    }

    /// The size of the audit log, which is in memory.
    private static let auditBytes = 256 << 10
}

/// The work of a host.
private struct HostWork: InvocationWork {
    let host: PetrelCore.Host

    func prepare(atMost limit: Duration) async { await host.waitForModules(atMost: limit) }
    func pendingWork() async -> Int { await host.pendingWork() }
    func end(_ reason: String) { host.endWork(reason) }
    func giveUpReplies(_ reason: String) { host.delivery.giveUp(reason) }
}

/// The service that handles invocations in place of the web server.
private struct LambdaService: Service {
    let loop: LambdaLoop

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.loop.run() }
        } catch is CancellationError {
            // Lambda ends the process.
        }
    }
}
