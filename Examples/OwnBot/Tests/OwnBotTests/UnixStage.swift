import Foundation
import Logging
import PetrelKit
import PetrelSupport
import PetrelTesting

@testable import UnixBackend

/// The chat as its people see it: two people, who are in two rooms.
final class UnixStage: ConformanceStage {
    let abilities: Set<ConformanceAbility> = [.rooms, .direct, .people, .restarting]
    let rooms = ["#ops", "#dev"]
    let people = ["@alice", "@bob"]
    let backend: any ChatBackend
    private let path: String
    private let shown = Mailbox<ConformanceShown>()
    private let clients = Locked<[String: Client]>([:])

    init(_ folder: URL) throws {
        path = folder.appending(path: "s").path
        let section = SettingsSection(
            ["socket": .string(path)], at: "backends.unix", in: SettingsContext(folder: folder, environment: [:]))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        backend = try UnixPlugIn(name: "unix", section, LaunchOptions()).makeBackend(
            BackendContext(logger: logger, loop: EventLoopExecutor(), version: "1"))
    }

    /// Connects everybody, and waits until they are in the rooms.
    func untilConnected() async throws {
        disconnect()
        for person in people {
            let client = try await enter(person)
            clients.withLock { $0[person] = client }
            Task { await read(client, as: person) }
        }
    }

    func say(_ text: String, as person: String, in room: String?, thread: String?) async throws -> String {
        let line = (room.map { "\($0) " } ?? "") + carried(text)
        clients.value[person]?.say(line)
        return ""
    }

    /// A line cannot contain line breaks, and white space after the name of a room is not part of the text.
    func carried(_ text: String) -> String {
        let line = text.textLines.joined(separator: " ")
        return String(String.UnicodeScalarView(line.unicodeScalars.drop { $0.isSeparator }))
    }

    func next(within limit: Duration) async throws -> ConformanceShown? {
        await shown.next(within: limit)
    }

    func disconnect() {
        let all = clients.withLock { clients in
            defer { clients = [:] }
            return clients
        }
        for client in all.values { client.close() }
    }

    /// Connects a person, as soon as the backend accepts connections.
    private func enter(_ person: String) async throws -> Client {
        let deadline = ContinuousClock.now + RecordingBackend.patience
        while true {
            do {
                let client = try await Client(path)
                client.say(String(person.dropFirst()))
                for room in rooms { client.say(room) }
                while let line = await client.next() {
                    if line == "\(rooms[1]) \(person) has joined" { return client }
                }
                throw Refusal("the backend closed the connection")
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// Passes on what the bot says. Everybody in a room sees the same there, so that one person reports it.
    private func read(_ client: Client, as person: String) async {
        while let line = await client.next() {
            let room = rooms.first { line.utf8.starts(with: "\($0) ".utf8) }
            guard let room else {
                shown.put(ConformanceShown(line, at: .direct(person)))
                continue
            }
            let text = String(line.unicodeScalars.dropFirst(room.unicodeScalars.count + 1))
            let isOfPerson = people.contains { text == "\($0) has joined" || text.utf8.starts(with: "\($0): ".utf8) }
            if person == people[0], !isOfPerson { shown.put(ConformanceShown(text, at: .room(room))) }
        }
    }
}
