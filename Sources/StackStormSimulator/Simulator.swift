import Foundation
import HTTPTypes
import Hummingbird
package import Logging
import NIOCore
import NIOHTTPTypes
import PetrelKit
import PetrelSupport
import ServiceLifecycle
import UnixSignals

/// An HTTP server for a simulated StackStorm, on a port of the loopback interface.
package final class Simulator: Service {
    package let stackStorm: SimulatedStackStorm
    private let port: Int
    private let logger: Logger
    private let listening: @Sendable (Int) -> Void

    /// Creates a server.
    ///
    /// - Parameters:
    ///   - stackStorm: The simulated StackStorm.
    ///   - port: The TCP port, or 0 to let the system choose one.
    ///   - logger: The logger of the server.
    ///   - listening: A closure that is called with the port when the server accepts connections.
    package init(
        _ stackStorm: SimulatedStackStorm, port: Int = 0, logger: Logger,
        listening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.stackStorm = stackStorm
        self.port = port
        self.logger = logger
        self.listening = listening
    }

    /// Runs until SIGTERM or SIGINT.
    package func runUntilSignal() async throws {
        try await ServiceGroup(services: [self], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
    }

    package func run() async throws {
        var quiet = logger
        quiet.logLevel = .critical
        let application = Application(
            responder: Responder(stackStorm: stackStorm),
            server: .http1(
                configuration: .init(additionalChannelHandlers: [WrongDate(error: self.stackStorm.webClockError)])),
            configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: port), serverName: "nginx"),
            onServerRunning: { [listening] channel in listening(channel.localAddress?.port ?? 0) }, logger: quiet)
        // The server is shut down gracefully and not cancelled: a cancelled server drops connections that are being
        // accepted, for which NIO terminates the process. It waits for streams, which are ended before.
        let server = ServiceGroup(services: [application], logger: quiet)
        let end: @Sendable () -> Void = { [stackStorm] in
            Task {
                await stackStorm.end()
                await server.triggerGracefulShutdown()
            }
        }
        let serving = Task { try await server.run() }
        let beating = Task { try await beat() }
        defer { beating.cancel() }
        try await withGracefulShutdownHandler {
            try await withTaskCancellationHandler {
                try await serving.value
            } onCancel: {
                end()
            }
        } onGracefulShutdown: {
            end()
        }
    }

    private func beat() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(25))
            await stackStorm.heartbeat()
        }
    }
}

private struct Responder: HTTPResponder {
    typealias Context = BasicRequestContext

    let stackStorm: SimulatedStackStorm

    func respond(to request: Request, context: Context) async throws -> Response {
        var headers: [String: String] = [:]
        for field in request.headers { headers[field.name.canonicalName] = field.value }
        let body = try await request.body.collect(upTo: 8 << 20)
        let answer = await stackStorm.answer(
            SimulatedRequest(
                method: request.method.rawValue, target: request.uri.string, headers: headers,
                body: Array(body.readableBytesView)))
        var fields = HTTPFields()
        for (name, value) in answer.headers { if let name = HTTPField.Name(name) { fields[name] = value } }
        let responseBody: ResponseBody
        switch answer.body {
        case .bytes(let bytes): responseBody = ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
        case .stream(let stream):
            responseBody = ResponseBody { writer in
                for await bytes in stream { try await writer.write(ByteBuffer(bytes: bytes)) }
                try await writer.finish(nil)
            }
        case .cut(let bytes):
            responseBody = ResponseBody { writer in
                try await writer.write(ByteBuffer(bytes: bytes))
                throw SimulatedCut()
            }
        }
        return Response(status: HTTPResponse.Status(code: answer.status), headers: fields, body: responseBody)
    }
}

/// A handler that sets the `Date` header of responses from a clock with an error.
private final class WrongDate: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// The format of the `Date` header (RFC 9110, section 5.6.7).
    private static let style = Date.VerbatimFormatStyle(
        format: """
            \(weekday: .abbreviated), \(day: .twoDigits) \(month: .abbreviated) \(year: .padded(4)) \
            \(hour: .twoDigits(clock: .twentyFourHour, hourCycle: .zeroBased)):\(minute: .twoDigits):\
            \(second: .twoDigits) GMT
            """, locale: Locale(identifier: "en_US_POSIX"), timeZone: .gmt, calendar: Calendar(identifier: .gregorian))

    private let error: Locked<Double>

    init(error: Locked<Double>) {
        self.error = error
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let error = error.value
        guard error != 0, case .head(var head) = unwrapOutboundIn(data) else {
            return context.write(data, promise: promise)
        }
        head.headerFields[.date] = Date(timeIntervalSinceNow: error).formatted(Self.style)
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}

/// An error that closes a connection in the middle of a body.
private struct SimulatedCut: Error {}
