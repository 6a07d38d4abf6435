import BuiltinsModule
import CoreMetrics
import Foundation
import IRCBackend
import Logging
import PetrelApp
import PetrelKit
import PetrelSupport
import SlackBackend
import TextBackend
import XMPPBackend

@testable import PetrelCore
@testable import StackStormClient
@testable import StackStormModule

/// Checks that the events do not depend on how the bytes are split into chunks.
func fuzzEvents(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let text = Array(bytes.dropFirst())
    // Use a low limit for some inputs.
    let limit = first < 64 ? Int(first) + 8 : 1 << 20
    var whole = ServerSentEventParser(limit: limit)
    let expected = whole.feed(text)
    var pieces = ServerSentEventParser(limit: limit)
    var found: [ServerSentEventParser.Item] = []
    let size = Int(first % 7) + 1
    for start in stride(from: 0, to: text.count, by: size) {
        found += pieces.feed(text[start..<min(start + size, text.count)])
    }
    // The counted size of an oversized event depends on the chunks.
    func comparable(_ items: [ServerSentEventParser.Item]) -> [ServerSentEventParser.Item] {
        items.map { if case .oversized(let name, _) = $0 { .oversized(name: name, bytes: 0) } else { $0 } }
    }
    require(comparable(found) == comparable(expected), "chunks of \(size): \(found) instead of \(expected)")
}

/// Compares the matches and groups of two matchers for a line with a regular expression, and a text.
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

/// Checks that normalisation is idempotent, that rules see single spaces, that the evaluated command is the one that
/// runs, and that its secrets are masked.
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
    guard LineLimits().objection(to: message) == nil, let match = fuzzTable.find(text) else { return }
    let parsed = match.parsed()
    let question = parsed.question(by: message.sender, in: nil, on: "fuzz")
    let decision = fuzzAccess.decide(question)
    require(fuzzAccess.decide(question) == decision, "\(raw) has two different access decisions")
    checkCall(parsed)
}

private func checkCall(_ parsed: CommandTable.Parsed) {
    let line = parsed.match.arguments
    guard let call = parsed.line?.value as? StackStormCall else { return }
    switch call.kind {
    case .alias(let match):
        require(
            call.table.matcher.match(line) == .one(match),
            "\(line) runs a different alias than the one that was evaluated")
        let written = match.capture?.written ?? match.parameters
        let secrets = written.filter { $0.name != "host" }.compactMap(\.value).filter { !$0.isEmpty }
        // Only for visible characters: white space is collapsed afterwards, so that other text may equal the secret.
        for secret in secrets
        where secret.utf8.allSatisfy({ (0x21..<0x7F).contains($0) }) && !holds(match.representation, secret) {
            require(!holds(parsed.masked, secret), "\(secret) of \(line) is kept in \(parsed.masked)")
        }
        _ = fuzzActions.templated(line, match)
    case .verb(let verb), .unknown(orElse: let verb?):
        require(VerbCall(line)?.masked == verb.masked, "\(line) is a different verb than the one that was evaluated")
        guard let inquiry = verb.inquiry, case .answer(let id, let answers, _) = inquiry.kind else { return }
        require(InquiryCall(line) == inquiry, "\(line) gives a different answer than the one that was evaluated")
        var other = inquiry
        other.kind = .answer(id, answers: answers.mapValues { _ in "other" }, isGiven: true)
        require(inquiry.masked == other.masked, "an answer of \(line) is kept in \(inquiry.masked)")
    case .ambiguous, .unknown, .none, .empty: break
    }
}

/// The aliases of one pack. The parameter `host` is known and not secret; all others are secret.
private let fuzzAliasTable = AliasTable(
    [
        "echo {{ message }}", "login {{ user }} {{ password }} on {{ host=web1 }}", "rotate {{ key }}",
        "set( {{ name }}={{ value }})?", "st2 {{ host }}",
    ].enumerated().map { number, format in
        Alias(
            id: "\(number)", name: "alias\(number)", pack: "fuzz", actionRef: "fuzz.run",
            formats: [Alias.Format(display: format, representations: [format])])
    })

private let fuzzActions: KnownActions = {
    var actions = KnownActions()
    actions.learn(
        ActionSchema(ref: "fuzz.run", parameters: ["host": ["type": "string"]], runner: "orquesta"))
    return actions
}()

private let fuzzTable = CommandTable([
    (
        module: "st2",
        command: Command(
            "", summary: "",
            parse: { line, values in
                let call = StackStormCall(line, values, in: fuzzAliasTable, fuzzActions)
                return ParsedLine(call, masked: call.masked) { call.readings }
            },
            handler: { _ in nil })
    )
])

private let fuzzAccess: AccessControl = {
    var limits = AccessLimits()
    limits.arguments.deny = GlobList(["* --force*", "*password*"])
    return AccessControl(rules: [AccessRule(index: 0, command: "*", modules: ["st2"], limits: limits)])
}()

private let fuzzCatalog = Catalog(
    backends: [IRCPlugIn.self, SlackPlugIn.self, TextPlugIn.self, XMPPPlugIn.self],
    modules: [BuiltinsPlugIn.self, StackStormPlugIn.self])

/// Every error is reported, and none terminates the process.
func fuzzSettings(_ bytes: [UInt8]) {
    do {
        _ = try Configuration.read(
            Data(bytes), file: "fuzz.json", folder: URL(fileURLWithPath: "/"), environment: [:], fuzzCatalog)
    } catch {
        require(!error.problems.isEmpty, "a refusal without a reason")
        for problem in error.problems { require(!problem.message.isEmpty, "an error without a message: \(problem)") }
    }
}

/// Checks that every announcement is either posted or logged with a reason, and that an unreadable part of it affects
/// only the value that contains it.
func fuzzPayloads(_ bytes: [UInt8]) {
    if let value = JSONReader.value(bytes) {
        let expected = try? JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        require(value == expected, "\(value) instead of \(String(describing: expected))")
        let lenient = LenientJSON.read(bytes)
        require(lenient?.value == value && lenient?.losses == 0, "\(String(describing: lenient)) instead of \(value)")
        checkDamage(to: value, seed: bytes)
    }
    checkNeighbours(of: bytes)
    let announcer = Announcer(
        chat: FuzzChat(), places: FuzzPlaces(), ledger: FuzzLedger(), metrics: NOOPMetricsHandler.instance,
        logger: silent)
    announcer.announce(ServerSentEvent(name: "st2.announcement__fuzz", data: bytes))
    let answer = StackStormResponse(status: 200, headers: [:], body: Data(bytes))
    _ = try? answer.list()
    _ = try? answer.decoded(as: Execution.self)
    if let json = LenientJSON.read(bytes)?.value, let announcement = Announcement(json: json) {
        let announced = Announced(announcement, route: "fuzz")
        require(announced.content == Announced(announcement, route: "fuzz").content, "two digests of one content")
        announcer.say(announced)
    }
}

/// Checks that a value that can be read alone does not affect adjacent values in a list.
private func checkNeighbours(of bytes: [UInt8]) {
    guard let (value, losses) = LenientJSON.read(bytes) else { return }
    let list = Array("[1,".utf8) + bytes + Array(#",{"z":"é"}]"#.utf8)
    guard let found = LenientJSON.read(list), let items = found.value.array else {
        fatalError("\(String(decoding: bytes, as: UTF8.self)) cannot be read in a list")
    }
    require(
        items.count == 3 && items[0] == 1 && items[2] == ["z": "é"],
        "\(String(decoding: bytes, as: UTF8.self)) affects adjacent values: \(items)")
    // In a list, the value is one level deeper and may exceed the depth limit.
    require(
        items[1] == value && found.losses == losses || found.losses > losses || value.depth >= 99,
        "\(String(decoding: bytes, as: UTF8.self)) is read differently in a list: \(items[1])")
}

/// Checks that an invalid value in JSON does not affect the other values.
private func checkDamage(to value: JSONValue, seed: [UInt8]) {
    let seed = seed.reduce(into: 5_381) { $0 = ($0 &* 33 ^ Int($1)) & 0xFFFF_FFFF }
    let damages: [[UInt8]] = [
        Array("NaN".utf8), Array("-Infinity".utf8), Array("1e999".utf8), Array("123456789012345678901234567890".utf8),
        Array(#""\ud83d""#.utf8), Array(#""\udc00\ud800x""#.utf8), [0x22, 0xFF, 0xC0, 0x22],
        Array((String(repeating: "[", count: 300) + String(repeating: "]", count: 300)).utf8), Array(#""\x""#.utf8),
    ]
    let place = seed % max(value.leaves, 1)
    var left = place
    let damage = damages[(seed >> 8) % damages.count]
    var bytes: [UInt8] = []
    value.write(into: &bytes, replacing: &left, by: damage)
    guard let found = LenientJSON.read(bytes) else {
        fatalError("\(String(decoding: bytes, as: UTF8.self)) is not read")
    }
    require(found.losses > 0 || left >= 0 || damage.count == 30, "a loss is not counted in \(found.value)")
    var (before, after) = (place, place)
    let expected = value.blankAlong(value, &before)
    let read = found.value.blankAlong(value, &after)
    require(read == expected, "\(String(decoding: bytes, as: UTF8.self)) is read as \(read) instead of \(expected)")
}

extension JSONValue {
    /// The number of values that are neither lists nor objects.
    fileprivate var leaves: Int {
        switch self {
        case .array(let items): items.reduce(0) { $0 + $1.leaves }
        case .object(let fields): fields.values.reduce(0) { $0 + $1.leaves }
        default: 1
        }
    }

    fileprivate var depth: Int {
        switch self {
        case .array(let items): 1 + (items.map(\.depth).max() ?? 0)
        case .object(let fields): 1 + (fields.values.map(\.depth).max() ?? 0)
        default: 0
        }
    }

    /// - Parameter left: The number of leaves before the one to replace; -1 after it was replaced.
    fileprivate func write(into bytes: inout [UInt8], replacing left: inout Int, by damage: [UInt8]) {
        switch self {
        case .array(let items):
            bytes.append(UInt8(ascii: "["))
            for (number, item) in items.enumerated() {
                if number > 0 { bytes.append(UInt8(ascii: ",")) }
                item.write(into: &bytes, replacing: &left, by: damage)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let fields):
            bytes.append(UInt8(ascii: "{"))
            for (number, field) in fields.sorted(by: { $0.key < $1.key }).enumerated() {
                if number > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes += (try? JSONValue.encode(field.key)) ?? []
                bytes.append(UInt8(ascii: ":"))
                field.value.write(into: &bytes, replacing: &left, by: damage)
            }
            bytes.append(UInt8(ascii: "}"))
        default:
            bytes += left == 0 ? damage : (try? JSONValue.encode(self)) ?? []
            left -= 1
        }
    }

    /// Returns the value with null in place of the value that resulted from one leaf of the original.
    fileprivate func blankAlong(_ original: JSONValue, _ left: inout Int) -> JSONValue {
        switch (self, original) {
        case (.array(let items), .array(let originals)) where items.count == originals.count:
            return .array(zip(items, originals).map { $0.blankAlong($1, &left) })
        case (.object(let fields), .object(let originals)) where fields.count == originals.count:
            var blank = fields
            for (key, original) in originals.sorted(by: { $0.key < $1.key }) {
                blank[key] = fields[key]?.blankAlong(original, &left)
            }
            return .object(blank)
        case (_, .array), (_, .object): return self
        default:
            defer { left -= 1 }
            return left == 0 ? .null : self
        }
    }
}

/// A chat that takes everything and does nothing.
private struct FuzzChat: Speaking {
    func say(
        _ reply: Reply, at address: Address, _ marks: DeliveryMarks, _ transaction: MessageTransaction
    ) throws {
        require(!address.place.id.isEmpty, "a reply without a recipient")
    }

    func replace(_ handle: String, with reply: Reply, on backend: String) {}

    func answer(_ reply: Reply, replacing handle: String, at address: Address) {}

    func traits(of backend: String) -> BackendTraits? { nil }

    func tellAdmins(_ text: String) {}
}

/// Places of one backend on which no user or room has been seen.
private struct FuzzPlaces: PlaceFinding {
    func route(_ name: String, in backend: String?, orElse fallback: String?) -> Route {
        .to(Address(backend: "fuzz", place: name.hasPrefix("@") ? .direct(name) : .room(name)))
    }

    func person(named name: String, on backend: String) -> Person? { nil }

    func room(named name: String, on backend: String) -> Room? { nil }
}

/// A ledger that forgets.
private struct FuzzLedger: Ledger {
    func last() async throws -> Int64 { 0 }
    func unsaid(among entries: [LedgerEntry]) async throws -> [LedgerEntry] { entries }
    func note(_ entry: LedgerEntry) {}
    func forget(through number: Int64, heardThrough heard: Int64) async throws {}
}

private let silent = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
