import Foundation
import Logging
import NIOCore
import PetrelKit
import PetrelSupport

/// Socket Mode (https://docs.slack.dev/apis/events-api/using-socket-mode): events come over a WebSocket, and each is
/// acknowledged before anything is done with it.
struct SocketMode: Sendable {
    /// One envelope, and what Slack says about the socket itself.
    enum Frame: Equatable {
        case hello
        /// - Parameter id: to be acknowledged.
        case envelope(id: String, type: String, payload: JSONValue)
        /// `warning`: soon; `refresh_requested`: now; `link_disabled`: Socket Mode was switched off.
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

    private enum Change: Sendable {
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

    /// Keeps sockets open until cancelled, or until none is left. When Slack asks for it, the next one is up before the
    /// old one is left.
    /// - Parameter take: returns false where it cannot be taken now, so that it is not acknowledged either.
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
            // The first one shows whether Slack wants us at all.
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
                    if count == 0 { throw BackendFailure("The socket to Slack has ended: \(ending)") }
                    if replaced.remove(number) == nil {
                        replaced.insert(number)
                        count += 1
                        open()
                    }
                }
            }
        }
    }

    /// Tried until it is open: another one lives meanwhile.
    private func replacement(
        _ isWanted: Signal, _ take: @escaping @Sendable (SlackEnvelope) -> Bool
    ) async throws -> WebSocket.Ending {
        var pause = Duration.milliseconds(500)
        while true {
            do {
                return try await socket(isWanted, take)
            } catch let error as SlackError where !error.isFinal {
                logger.warning("The next socket to Slack is not available yet: \(error)")
                try await Task.sleep(for: max(pause, error.retryAfter ?? .zero))
            } catch let error as WebSocketClient.Failure {
                logger.warning("The next socket to Slack cannot be opened yet: \(error)")
                try await Task.sleep(for: pause)
            }
            pause = min(pause * 2, Self.longestPause)
        }
    }

    private func socket(
        _ isWanted: Signal, _ take: @escaping @Sendable (SlackEnvelope) -> Bool
    ) async throws -> WebSocket.Ending {
        let answer = try await api.call("apps.connections.open", as: .app)
        guard let url = answer["url"]?.string.flatMap({ URL(string: $0) }) else {
            throw SlackError("apps.connections.open", "unreadable", "no url")
        }
        guard url.scheme == "wss" || !api.isEncrypted else {
            throw SlackError("apps.connections.open", "unreadable", "a url without TLS")
        }
        let logger = logger
        let ending = try await client.run(url) { message, socket in
            guard case .text(let text) = message else { return }
            switch Frame(text) {
            case .hello: logger.debug("A socket to Slack is open.")
            case .envelope(let id, let type, let payload):
                if let envelope = SlackEnvelope(type: type, payload: payload), !take(envelope) {
                    return logger.warning("Too much of Slack's waits; it will send this again.")
                }
                try await socket.send(.text(Self.acknowledgement(of: id)))
            case .disconnect("link_disabled"):
                throw BackendFailure(
                    "Socket Mode was switched off for this app; switch it on at api.slack.com/apps.", isFinal: true)
            case .disconnect("too_many_websockets"):
                logger.warning("Slack has too many sockets of this app open: another program uses its token.")
            case .disconnect: isWanted.open()
            case .unknown: logger.warning("Slack sent something that is no envelope; it is left out.")
            }
        }
        return ending
    }
}
