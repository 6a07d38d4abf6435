import AsyncHTTPClient
import FaultSuite
import Foundation
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import PetrelCore
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

@testable import SlackBackend

/// A simulated workspace, which is verified with Slack's own clients.
final class Workspace: Sendable {
    let address: String

    /// The TLS port of the stand-in; nil without a certificate.
    let securePort: Int?

    init(_ address: String, securePort: Int? = nil) {
        self.address = address
        self.securePort = securePort
    }

    /// A client without a read timeout, because requests to the stand-in wait for events. A busy machine may take long
    /// to accept a connection.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.timeout.read = nil
        configuration.timeout.connect = .minutes(4)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// Starts the program of the stand-in.
    static func start(_ arguments: [String]) async throws -> Program {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "slack_stand_in.py")
        return try await Program([script.path] + arguments, of: PythonTools.path(of: "python3"))
    }

    /// Returns the address in a line of the stand-in; nil if the line has none.
    static func address(in line: String) -> String? {
        line.contains("listening on") ? line.split(separator: " ").last.map(String.init) : nil
    }

    static func with(
        _ certificate: SelfSigned? = nil, _ body: (Workspace) async throws -> Void
    ) async throws {
        let program = try await start(certificate.map { [$0.certificate, $0.key] } ?? [])
        let secure = certificate == nil ? nil : await program.line(with: "secure on")
        let line = try #require(await program.line(with: "listening on"))
        let workspace = Workspace(
            try #require(address(in: line)),
            securePort: secure.flatMap { $0.split(separator: " ").last }.flatMap { Int($0) })
        defer { program.signal(SIGKILL) }
        try await body(workspace)
    }

    var settings: SlackSettings { get throws { try settings(at: address) } }

    /// Returns settings for connecting to this workspace.
    /// - Parameter address: the address of the workspace, or of a relay to it.
    func settings(at address: String) throws -> SlackSettings {
        var settings = SlackSettings(
            botToken: Secret("xoxb-1"), appToken: Secret("xapp-1"),
            apiURL: try #require(URL(string: address + "api/")))
        settings.slashCommands = ["/echo", "/secret"]
        // A slow test machine must not cause lookups to time out.
        settings.namePatience = .seconds(60)
        return settings
    }

    /// Runs a bot with these modules in the workspace.
    func chat(
        _ modules: [any BotModule], store: TestStore? = nil, policy: Dispatcher.Policy = Dispatcher.Policy(),
        logger: Logger? = nil, change: (inout SlackSettings) -> Void = { _ in },
        _ body: @Sendable (Workspace) async throws -> Void
    ) async throws {
        try await chat({ _ in modules }, store: store, policy: policy, logger: logger, change: change, body)
    }

    /// A bot in it, with modules that need its host.
    func chat(
        _ modules: (TestHost) throws -> [any BotModule], store: TestStore? = nil,
        policy: Dispatcher.Policy = Dispatcher.Policy(),
        logger: Logger? = nil, change: (inout SlackSettings) -> Void = { _ in },
        _ body: @Sendable (Workspace) async throws -> Void
    ) async throws {
        var settings = try settings
        change(&settings)
        let logger = logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let backend = SlackBackend(name: "slack", settings: settings, logger: logger)
        try await TestHost.unhurried(backend, policy, store: store, logger: logger).run(modules) {
            _ = try await self.request("log?sockets=1")
            try await body(self)
        }
    }

    /// Returns the ticket that opens one socket.
    func ticket() async throws -> String {
        var request = HTTPClientRequest(url: address + "api/apps.connections.open")
        request.method = .POST
        request.headers = ["authorization": "Bearer xapp-1"]
        let response = try await Self.client.execute(request, timeout: .minutes(4))
        let json = try JSONValue.parse(Data(buffer: try await response.body.collect(upTo: 1 << 20)))
        return String(try #require(json["url"]?.string?.split(separator: "?").last))
    }

    func request(_ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
        var request = HTTPClientRequest(url: address + path)
        request.method = body == nil ? .GET : .POST
        request.headers = ["content-type": "application/json"]
        if let body { request.body = .bytes(ByteBuffer(bytes: try JSONValue.encode(body) as [UInt8])) }
        let response = try await Self.client.execute(request, timeout: .minutes(9))
        return try JSONValue.parse(Data(buffer: try await response.body.collect(upTo: 64 << 20)))
    }

    @discardableResult
    func order(_ what: String, _ more: [String: JSONValue] = [:]) async throws -> JSONValue {
        try await request("control", .object(more.merging(["do": .string(what)]) { _, new in new }))
    }

    @discardableResult
    func say(
        _ text: String, user: String = "U1", channel: String? = "C1", _ more: [String: JSONValue] = [:]
    ) async throws -> String {
        let order: [String: JSONValue] = [
            "user": .string(user), "text": .string(text), "channel": channel.map { .string($0) } ?? .null,
        ]
        let answer = try await self.order("say", order.merging(more) { _, new in new })
        return answer["ts"]?.string ?? ""
    }

    /// Returns all messages when there are at least this many.
    @discardableResult
    func messages(_ count: Int) async throws -> [JSONValue] {
        try await request("log?messages=\(count)")["messages"]?.array ?? []
    }

    func untilOpen(sockets count: Int) async throws { _ = try await request("log?sockets=\(count)") }

    /// Returns the acknowledgements when there are at least this many.
    func acknowledgements(_ count: Int) async throws -> [JSONValue] {
        try await request("log?acks=\(count)")["log"]?.array?.filter { $0["ack"] != nil } ?? []
    }

    /// Returns the open forms when there are at least this many.
    func views(_ count: Int = 1) async throws -> [JSONValue] {
        try await request("log?views=\(count)")["views"]?.array ?? []
    }

    /// Returns the log of the stand-in: calls, acknowledgements and closed sockets.
    func log() async throws -> [JSONValue] { try await request("log")["log"]?.array ?? [] }

    /// Returns the number of calls of a method.
    func calls(_ method: String) async throws -> Int { try await calls(of: method).count }

    /// Returns the arguments of each call of a method.
    func calls(of method: String) async throws -> [JSONValue] {
        try await log().filter { $0["call"]?.string == method }.compactMap { $0["arguments"] }
    }

    /// Returns all messages when one has this text.
    func messages(until text: String) async throws -> [JSONValue] {
        let escaped = try #require(text.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
        return try await request("log?text=\(escaped)")["messages"]?.array ?? []
    }

    /// Returns all messages when at least this many contain the word.
    func messages(_ count: Int, with word: String) async throws -> [JSONValue] {
        try await request("log?part=\(word)&parts=\(count)")["messages"]?.array ?? []
    }

    /// Returns all messages when one in the channel ends with this text.
    @discardableResult
    func messages(endingWith text: String, in channel: String) async throws -> [JSONValue] {
        try await request("log?ending=\(text)&channel=\(channel)")["messages"]?.array ?? []
    }

    /// Returns all messages when a method was called at least this often.
    func messages(until method: String, times: Int) async throws -> [JSONValue] {
        try await request("log?method=\(method)&times=\(times)")["messages"]?.array ?? []
    }

    /// Returns the message after this many, and waits for it.
    func message(after count: Int = 0) async throws -> JSONValue { try await messages(count + 1)[count] }
}
