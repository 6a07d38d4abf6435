import CoreMetrics
import Foundation
import Logging
import PetrelKit

@testable import PetrelCore
@testable import StackStormClient
@testable import StackStormModule

/// However the bytes are cut into chunks, the events are the same.
func fuzzEvents(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let text = Array(bytes.dropFirst())
    // Some with a limit that is soon reached.
    let limit = first < 64 ? Int(first) + 8 : 1 << 20
    var whole = ServerSentEventParser(limit: limit)
    let expected = whole.feed(text)
    var pieces = ServerSentEventParser(limit: limit)
    var found: [ServerSentEventParser.Item] = []
    let size = Int(first % 7) + 1
    for start in stride(from: 0, to: text.count, by: size) {
        found += pieces.feed(text[start..<min(start + size, text.count)])
    }
    // How much of an event that is too long was counted depends on the chunks.
    func comparable(_ items: [ServerSentEventParser.Item]) -> [ServerSentEventParser.Item] {
        items.map { if case .oversized(let name, _) = $0 { .oversized(name: name, bytes: 0) } else { $0 } }
    }
    require(comparable(found) == comparable(expected), "chunks of \(size): \(found) instead of \(expected)")
}

/// A line with a regular expression, and a text: what matches, and what the groups hold.
func fuzzAliases(_ bytes: [UInt8]) {
    let parts = bytes.prefix(300).split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let format = String(validating: parts[0], as: UTF8.self),
        let command = String(validating: parts[1], as: UTF8.self)
    else { return }
    if let alias = try? AliasFormat(format) { _ = try? alias.parameters(of: CommandStream(command)) }
    guard let parsed = try? RegexParser.parse(format, dotAll: true), let regex = try? Regex(parsed) else { return }
    let text = command.unicodeScalars.map(\.value)
    var memory = Regex.Memory()
    let found = regex.firstMatch(in: text, memory: &memory)
    guard case .decided(let expected) = SlowRegex(parsed, text).firstMatch() else { return }
    require(found == expected, "\(format) on \(command): \(found ?? []) instead of \(expected ?? [])")
}

/// Normalising twice is normalising once, and rules see single spaces.
func fuzzLines(_ bytes: [UInt8]) {
    let raw = String(decoding: bytes, as: UTF8.self)
    let text = CommandText(raw).text
    require(CommandText(text).text == text, "the text of \(raw) changes")
    let line = CommandText.line(of: text)
    require(CommandText.line(of: line) == line, "the line of \(raw) changes")
    require(!line.contains("  ") && !line.hasPrefix(" ") && !line.hasSuffix(" "), "the line of \(raw) has spaces")
    let message = ChatMessage(id: "1", sender: Person(id: "p", name: "p"), room: nil, text: raw)
    _ = Prefixes().strip(text, from: message)
    _ = Glob(line).matches(GlobText(text))
}

/// Every mistake is told, and none stops the process.
func fuzzSettings(_ bytes: [UInt8]) {
    let read = try? SettingsSection.root(
        of: Data(bytes), file: "fuzz.json", folder: URL(fileURLWithPath: "/"), environment: [:])
    guard let (root, context) = read else { return }
    _ = CoreSettings(root)
    for section in root.sections("stackstorm") { _ = StackStormModuleSettings(section, environment: [:]) }
    root.finish()
    for problem in context.problems { require(!problem.message.isEmpty, "a mistake without a word: \(problem)") }
}

/// Whatever StackStorm announces, either somebody is told or the log says why not.
func fuzzPayloads(_ bytes: [UInt8]) {
    if let value = JSONReader.value(bytes) {
        let expected = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        require(value == expected, "\(value) instead of \(String(describing: expected))")
    }
    let host = FuzzHost()
    let announcer = Announcer(host: host)
    announcer.announce(ServerSentEvent(name: "st2.announcement__fuzz", data: bytes))
    if let json = try? JSONValue.parse(bytes), let announcement = Announcement(json: json) {
        let announced = Announced(announcement, route: "fuzz")
        require(announced.content == Announced(announcement, route: "fuzz").content, "two digests of one content")
        announcer.say(announced)
    }
}

/// A ledger that forgets.
private struct FuzzStorage: Storage, Ledger {
    func records(_ collection: String) -> any RecordCollection { fatalError("nothing is stored") }
    func sealed(_ collection: String) -> any RecordCollection { fatalError("nothing is stored") }
    var ledger: any Ledger { self }
    func written() async -> Bool { true }
    func last() async throws -> Int64 { 0 }
    func unsaid(among entries: [LedgerEntry]) async throws -> [LedgerEntry] { entries }
    func note(_ entry: LedgerEntry) {}
    func forget(through number: Int64, heardThrough heard: Int64) async throws {}
}

/// A host that takes everything and does nothing.
private struct FuzzHost: ModuleHost {
    func ready() {}
    func publish(_ commands: [Command]) {}
    func say(_ reply: Reply, at address: Address, _ receipt: Receipt) throws {
        require(!address.place.id.isEmpty, "a reply to nobody")
    }
    func replace(_ handle: String, with reply: Reply, on backend: String) {}
    func tellAdmins(_ text: String) {}
    func route(_ name: String, in backend: String?, orElse fallback: String?) -> Route {
        .to(Address(backend: "fuzz", place: name.hasPrefix("@") ? .direct(name) : .room(name)))
    }
    var storage: any Storage { FuzzStorage() }
    var overview: any HostOverview { fatalError("nothing is asked") }
    var audit: any AuditLog { fatalError("nothing is recorded") }
    var metrics: any MetricsFactory { NOOPMetricsHandler.instance }
    var logger: Logger { Self.silent }

    private static let silent = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
}
