import Foundation
import LockModule
import Logging
import NIOCore
import NIOPosix
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import UnixBackend

@Suite(.timeLimit(.minutes(10)))
struct UnixBackendTests {
    @Test func `Rooms, direct chats and reconnections`() async throws {
        try await withBot { path in
            try await Client.use(path, as: "alice") { alice in
                try await Client.use(path, as: "bob") { bob in
                    bob.say("#ops")
                    #expect(await bob.next() == "#ops @bob has joined")
                    alice.say("#ops !lock take API new version")
                    #expect(await alice.next() == "#ops API is locked.")
                    #expect(await bob.next() == "#ops @alice: !lock take API new version")
                    #expect(await bob.next() == "#ops API is locked.")
                }
                alice.say("!lock take API again")
                #expect(await alice.next() == "@alice has locked API: new version")
            }
            try await Client.use(path, as: "alice") { alice in
                alice.say("!lock release API")
                #expect(await alice.next() == "API is released.")
            }
        }
    }

    @Test func `Only the bot's own user may open the socket`() async throws {
        try await withBot { path in
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func `A second connection with a nick replaces the first`() async throws {
        try await withBot { path in
            try await Client.use(path, as: "alice") { first in
                first.say("!lock list")
                #expect(await first.next() == "No service is locked.")
                try await Client.use(path, as: "alice") { second in
                    #expect(await first.next() == "alice has connected again")
                    #expect(await first.next() == nil)
                    second.say("!lock list")
                    #expect(await second.next() == "No service is locked.")
                }
            }
        }
    }

    @Test func `The number of clients is limited`() async throws {
        try await withBot(clients: 1) { path in
            try await Client.use(path, as: "alice") { alice in
                alice.say("!lock list")
                #expect(await alice.next() == "No service is locked.")
                try await Client.use(path, as: nil) { other in
                    let refusal = await other.next()
                    #expect(refusal == "too many clients")
                    let end = await other.next()
                    #expect(end == nil)
                }
            }
        }
    }

    @Test func `A stale socket is replaced, and nothing else is`() async throws {
        try await withFolder { folder in
            let path = folder.appending(path: "s").path
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let first = try await UnixSocket(path: path, loop: loop).listen()
            await #expect(throws: BackendFailure.self) { try await UnixSocket(path: path, loop: loop).listen() }
            try await first.executeThenClose { _ in }
            let second = try await UnixSocket(path: path, loop: loop).listen()
            try await second.executeThenClose { _ in }
            try FileManager.default.removeItem(atPath: path)
            try Data("text".utf8).write(to: folder.appending(path: "s"))
            await #expect(throws: BackendFailure.self) { try await UnixSocket(path: path, loop: loop).listen() }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "text")
        }
    }

    @Test func `Settings have errors with their place`() {
        let context = SettingsContext(folder: URL(filePath: "/srv/bot"), environment: [:])
        let good = UnixSettings(SettingsSection(["socket": "bot.sock"], at: "backends.unix", in: context))
        #expect(good.socket == "/srv/bot/bot.sock")
        #expect(context.problems.isEmpty)
        _ = UnixSettings(
            SettingsSection(["clients": 0, "socket": "s", "sockets": 1], at: "backends.unix", in: context))
        #expect(Set(context.problems.map(\.path)) == ["backends.unix.clients", "backends.unix.sockets"])
    }

    /// Runs a bot with this backend and the locks.
    private func withBot(clients: Int = 32, _ body: @Sendable (_ path: String) async throws -> Void) async throws {
        try await withFolder { folder in
            let path = folder.appending(path: "s").path
            let section = SettingsSection(
                ["socket": .string(path), "clients": .integer(clients)], at: "backends.unix",
                in: SettingsContext(folder: folder, environment: [:]))
            let listening = Signal()
            let logger = Logger(label: "test") { _ in
                CollectingLogHandler { if $0.hasPrefix("listening") { listening.open() } }
            }
            let backend = try UnixPlugIn(name: "unix", section, LaunchOptions()).makeBackend(
                BackendContext(logger: logger, loop: EventLoopExecutor(), version: "1"))
            try await TestHost([backend]).run({ [LockModule($0.access(for: "lock"))] }) {
                await listening.wait()
                try await body(path)
            }
        }
    }
}
