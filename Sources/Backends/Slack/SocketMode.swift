import Foundation
import Logging
import NIOCore
import PetrelKit
import PetrelSupport

/// A Socket Mode client (https://docs.slack.dev/apis/events-api/using-socket-mode): receives events over WebSockets and
/// acknowledges each before it is processed.
struct SocketMode: Sendable {
    /// A message on the socket: an envelope, or information about the socket itself.
    enum Frame: Equatable {
        case hello
        /// An event, slash command or interaction, which is acknowledged by its `id`.
        case envelope(id: String, type: String, payload: JSONValue)
        /// An announcement that Slack closes the socket: `warning` (soon), `refresh_requested` (now) or `link_disabled`
        /// (Socket Mode was disabled).
        case disconnect(reason: String)
        case unknown

        init(_ text: String) {
            guard let json = try? JSONValue.parse(text.utf8), let type = json["type"]?.string else {
                self = .unknown
                return
            }
            if type == "hello" {
                self = .hello
            } else if type == "disconnect" {
                self = .disconnect(reason: json["reason"]?.string ?? "")
            } else if let id = json["envelope_id"]?.string {
                self = .envelope(id: id, type: type, payload: json["payload"] ?? .null)
            } else {
                self = .unknown
            }
        }
    }

    /// A change of the socket with this number.
    private enum Change: Sendable {
        /// Slack asked for a replacement.
        case nextIsWanted(Int)
        case ended(Int, WebSocket.Ending)
    }

    private static let longestPause = Duration.seconds(30)

    private let api: SlackAPI
    private let logger: Logger
    private let client: WebSocketClient
    private let connections: Int

    init(_ api: SlackAPI, _ settings: SlackSettings, on loop: EventLoopExecutor, _ logger: Logger) {
        self.api = api
        self.logger = logger
        connections = settings.connections
        client = WebSocketClient(
            on: loop.eventLoop, proxies: ProxyEnvironment(settings.environment))
    }

    private static func acknowledgement(of id: String) -> String {
        var object = JSONObject()
        object.set("envelope_id", id)
        return String(decoding: object.finish(), as: UTF8.self)
    }

    /// Keeps the configured number of sockets open until the task is cancelled or all sockets have ended. When Slack
    /// announces that it closes a socket, a replacement is opened while the old one is still in use.
    /// - Parameter take: accepts an envelope; if it returns false, the envelope is not acknowledged.
    func run(take: @escaping @Sendable (SlackEnvelope) -> Bool) async throws {
        try await withThrowingTaskGroup(of: Change.self) { group in
            var last = 0
            var replaced: Set<Int> = []
            func open(isFirst: Bool = false) {
                last += 1
                let (number, isWanted) = (last, Signal())
                group.addTask {
                    .ended(number, try await isFirst ? socket(isWanted, take) : replacement(isWanted, take))
                }
                group.addTask {
                    await isWanted.wait()
                    return .nextIsWanted(number)
                }
            }
            // The first socket is not retried: its failure shows that Slack cannot be used at all.
            open(isFirst: true)
            for _ in 1..<connections { open() }
            var count = connections
            while let change = try await group.next() {
                try Task.checkCancellation()
                switch change {
                case .nextIsWanted(let number):
                    guard replaced.insert(number).inserted else { continue }
                    count += 1
                    open()
                case .ended(let number, let ending):
                    count -= 1
                    if count == 0 { throw BackendFailure("The WebSocket to Slack has ended: \(ending)") }
                    if replaced.remove(number) == nil {
                        replaced.insert(number)
                        count += 1
                        open()
                    }
                }
            }
        }
    }

    /// Opens a socket, and retries until it succeeds, because another socket is still open.
    private func replacement(
        _ isWanted: Signal, _ take: @escaping @Sendable (SlackEnvelope) -> Bool
    ) async throws -> WebSocket.Ending {
        var pause = Duration.milliseconds(500)
        while true {
            do {
                return try await socket(isWanted, take)
            } catch let error as SlackError where !error.isFinal {
                logger.warning("Cannot request a new WebSocket from Slack, and will retry: \(error)")
                try await Task.sleep(for: max(pause, error.retryAfter ?? .zero))
            } catch let error as WebSocketClient.Failure {
                logger.warning("Cannot open a new WebSocket to Slack, and will retry: \(error)")
                try await Task.sleep(for: pause)
            }
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func socket(
        _ isWanted: Signal, _ take: @escaping @Sendable (SlackEnvelope) -> Bool
    ) async throws -> WebSocket.Ending {
        let answer = try await api.call("apps.connections.open", as: .app)
        guard let url = answer["url"]?.string.flatMap({ URL(connectable: $0) }) else {
            throw SlackError("apps.connections.open", "unreadable", "no url")
        }
        guard url.scheme == "wss" || !api.isEncrypted else {
            throw SlackError("apps.connections.open", "unreadable", "a url without TLS")
        }
        let logger = logger
        let ending = try await client.run(url) { message, socket in
            guard case .text(let text) = message else { return }
            switch Frame(text) {
            case .hello: logger.debug("A WebSocket to Slack is open.")
            case .envelope(let id, let type, let payload):
                if let envelope = SlackEnvelope(type: type, payload: payload), !take(envelope) {
                    return logger.warning("The queue is full; Slack will send this envelope again.")
                }
                try await socket.send(.text(Self.acknowledgement(of: id)))
            case .disconnect("link_disabled"):
                throw BackendFailure(
                    "Socket Mode was disabled for this app; enable it at api.slack.com/apps.", isFinal: true)
            case .disconnect("too_many_websockets"):
                logger.warning("Too many WebSockets are open for this Slack app: another program uses its app token.")
            case .disconnect: isWanted.open()
            case .unknown: logger.warning("Ignored a Socket Mode message that is not an envelope.")
            }
        }
        return ending
    }
}
