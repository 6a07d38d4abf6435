import AsyncHTTPClient
import FaultSuite
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import PetrelTesting
import PetrelWeb
import ServiceLifecycle
import StackStormClient
import StackStormModule
import StackStormSimulator
import Testing

@testable import PetrelApp

/// A complete Petrel behind nginx, with a simulated StackStorm.
struct LoginHouse: Sendable {
    let folder: URL
    let backend: RecordingBackend
    let stackStorm: SimulatedStackStorm
    let web: HTTPClient
    let page: String
    let petrelPort: Int
    let stackStormPort: Int
    /// The time that is added to the clock by which links expire.
    let later: Locked<Duration>
    let log: Locked<[String]>
    let secrets: Locked<Set<String>>

    /// Requests a login in chat, and returns the link.
    func link(_ person: String = "@alice", word: String = "tulip-garden") async throws -> String {
        secrets.withLock { $0.formUnion([word]) }
        backend.type("!st2session_start \(word)", as: person, in: nil)
        let reply = try #require(await heard()?.reply.text)
        let link = try #require(reply.firstMatch(of: /https:\S+/)).output
        secrets.withLock { _ = $0.insert(String(link.split(separator: "#")[1])) }
        return String(link)
    }

    func told() async -> String { await heard()?.reply.text ?? "" }

    /// Returns the next message, except notifications to other users of the same StackStorm account.
    func heard() async -> RecordingBackend.Sent? {
        while let sent = await backend.next() {
            if !sent.reply.text.contains(" is now logged in to StackStorm as ") { return sent }
        }
        return nil
    }
}

extension LoginHouse {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Passwords that do not occur in other texts, so that they can be searched for.
    static let users = [
        SimulatedStackStorm.User(name: "petrel", password: "password-of-petrel"),
        SimulatedStackStorm.User(name: "alice", password: "password-of-alice"),
        SimulatedStackStorm.User(name: "bob", password: "password-of-bob", forbidden: ["fleet.restart", "backup.run"]),
    ]

    /// The folder for the screenshots and the table, which are reviewed after the test.
    static let output = root.appendingPathComponent(".build/login-page")

    static func run(_ body: @Sendable @escaping (LoginHouse) async throws -> Void) async throws {
        try await withFolder { try await run(in: $0, body) }
    }

    private static func run(in folder: URL, _ body: @Sendable @escaping (LoginHouse) async throws -> Void) async throws
    {
        let stackStorm = SimulatedStackStorm(users: users)
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let simulator = Simulator(stackStorm, logger: .silent) { found.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await simulator.run() }
            defer { group.cancelAll() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await withPetrel(stackStorm, port, folder, body)
        }
    }

    private static func withPetrel(
        _ stackStorm: SimulatedStackStorm, _ stackStormPort: Int, _ folder: URL,
        _ body: @Sendable @escaping (LoginHouse) async throws -> Void
    ) async throws {
        let (https, http) = (try freePort(), try freePort())
        let page = "https://localhost:\(https)/"
        let log = Locked<[String]>([])
        let control = LineLogHandler.Control(level: .trace)
        control.redirect { line in log.withLock { $0.append(line) } }
        let later = Locked(Duration.zero)
        let backend = RecordingBackend()
        let logins = OneTimeLogins(now: { .now + later.value })
        let configuration = try configuration(stackStormPort, page: page, backend, logins)
        let keys = KeyRing(.usual(folder.appendingPathComponent("petrel.key").path))
        let store = try Store(path: folder.appendingPathComponent("petrel.db").path, keys: keys)
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let app = try Bot.build(configuration, store: store, log: control, listening: { found.yield($0) })
        let running = Task { try await app.run() }
        var iterator = ports.makeAsyncIterator()
        let petrelPort = try #require(await iterator.next())
        let nginx = try Program(
            [folder.path, "\(https)", "\(http)", "\(petrelPort)"],
            of: root.appendingPathComponent("Scripts/nginx-for-tests").path)
        try #require(await nginx.error(with: "test is successful") != nil)
        try #require(await nginx.error(with: "start worker process ") != nil)
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile("\(folder.path)/certificate.pem"))]
        var settings = HTTPClient.Configuration(tlsConfiguration: tls)
        settings.redirectConfiguration = .disallow
        settings.timeout.connect = .minutes(4)
        let web = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        let house = LoginHouse(
            folder: folder, backend: backend, stackStorm: stackStorm, web: web, page: page, petrelPort: petrelPort,
            stackStormPort: stackStormPort, later: later, log: log, secrets: Locked([]))
        let result: Result<Void, any Error>
        do {
            try await body(house)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        nginx.signal(SIGTERM)
        _ = await nginx.end()
        try await web.shutdown()
        await app.group.triggerGracefulShutdown()
        try await running.value
        try store.close()
        try result.get()
        house.secrets.withLock { [tokens = await stackStorm.goodTokens] in $0.formUnion(tokens) }
        try expectNoSecrets(house)
    }

    static func stackStorm(_ port: Int) throws -> StackStormSettings {
        let base = "http://127.0.0.1:\(port)"
        return StackStormSettings(
            auth: try #require(URL(string: "\(base)/auth/v1")), api: try #require(URL(string: "\(base)/api/v1")),
            stream: try #require(URL(string: "\(base)/stream/v1")),
            login: .password(name: "petrel", password: Secret("password-of-petrel")))
    }

    static func configuration(
        _ port: Int, page: String, _ backend: RecordingBackend, _ logins: OneTimeLogins
    ) throws -> Configuration {
        var settings = StackStormModuleSettings(client: try stackStorm(port))
        settings.access = .clientside(try #require(URL(string: page)))
        var core = CoreSettings()
        core.access.admins = ["@root"]
        core.web = CoreSettings.Web(host: "127.0.0.1", port: 0, trustedProxies: ["127.0.0.1"])
        var configuration = Configuration(
            core: core, backends: [ConfiguredBackend(name: "test", plugIn: RecordingPlugIn(backend))],
            modules: [StackStormPlugIn([settings], logins: logins)])
        configuration.pages = root.appendingPathComponent("html").path
        return configuration
    }

    /// Checks that the logs, the store and the audit log contain none of the secrets.
    private static func expectNoSecrets(_ house: LoginHouse) throws {
        var secrets = house.secrets.value.filter { !$0.isEmpty }
        secrets.formUnion(users.map(\.password) + ["key-of-alice", "wrong-password", "hyacinth"])
        for secret in secrets {
            #expect(!house.log.value.contains { $0.contains(secret) }, "the log holds “\(secret)”")
            for file in try FileManager.default.contentsOfDirectory(at: house.folder, includingPropertiesForKeys: nil)
            where !file.hasDirectoryPath {
                let data = try Data(contentsOf: file)
                #expect(data.range(of: Data(secret.utf8)) == nil, "\(file.lastPathComponent) holds “\(secret)”")
            }
        }
    }
}

/// A plug-in whose backend is created beforehand.
struct RecordingPlugIn: BackendPlugIn {
    static let kind = "recording"
    private let backend: RecordingBackend

    init(_ backend: RecordingBackend) {
        self.backend = backend
    }

    init(name: String, _ section: SettingsSection, _ options: LaunchOptions) {
        backend = RecordingBackend(name: name)
    }

    func makeBackend(_ context: BackendContext) throws -> any ChatBackend { backend }
}
