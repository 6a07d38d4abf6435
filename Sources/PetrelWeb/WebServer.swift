import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
package import Logging
import NIOCore
import NIOSSL
package import PetrelKit
import PetrelSupport
import ServiceLifecycle

/// Answers HTTP for every plug-in that has routes.
package final class WebServer: Service {
    package struct Settings: Sendable {
        package var host: String
        package var port: Int
        /// Paths of PEM files.
        package var tls: (certificate: String, key: String)?
        package var proxies: TrustedProxies?
        package var limits: WebLimits

        package init(
            host: String, port: Int, tls: (certificate: String, key: String)? = nil, proxies: TrustedProxies? = nil,
            limits: WebLimits = WebLimits()
        ) {
            self.proxies = proxies
            self.limits = limits
            self.host = host
            self.port = port
            self.tls = tls
        }
    }

    private let settings: Settings
    private let routes: [WebRoute]
    private let logger: Logger
    private let listening: @Sendable (Int) -> Void
    private let requests: Locked<OpenRequests>

    /// - Parameter listening: called with the port once it takes connections.
    package init(
        _ settings: Settings, routes: [WebRoute], logger: Logger,
        listening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.settings = settings
        self.routes = routes
        self.logger = logger
        self.listening = listening
        requests = Locked(OpenRequests(most: settings.limits.requestsOfAddress))
    }

    package func run() async throws {
        let router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
        for route in routes { add(route, to: router) }
        let configuration = ApplicationConfiguration(
            address: .hostname(settings.host, port: settings.port), serverName: nil,
            // More than are kept open: those that were closed to make room drain for a moment.
            availableConnectionsDelegate: MaximumAvailableConnections(settings.limits.connections + 64))
        // Hummingbird announces its own start; ours is said once, by the command.
        var quiet = logger
        quiet.logLevel = .error
        let application = Application(
            router: router, server: try server(), configuration: configuration,
            onServerRunning: { [listening] channel in listening(channel.localAddress?.port ?? 0) }, logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw WebFailure(
                message: "web.port: \(settings.port) on \(settings.host) is used by another program. "
                    + "Stop that one or set another port.")
        } catch let error as SocketAddressError {
            throw WebFailure(message: "web.host: \(settings.host) is no address of this machine: \(error)")
        } catch let error as NIOSSLError {
            throw WebFailure(message: "web.tls: the certificate and its key cannot be used: \(error)")
        }
    }

    private func server() throws -> HTTPServerBuilder {
        let http = HTTPServerBuilder.http1(configuration: channel())
        guard let tls = settings.tls else { return http }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(tls.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: tls.key, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        // Forward secrecy and authenticated encryption only; TLS 1.3 has its own.
        configuration.cipherSuites = "ECDH+AESGCM:ECDH+CHACHA20"
        configuration.shutdownTimeout = .seconds(1)
        return try .tls(http, tlsConfiguration: configuration)
    }

    private func channel() -> HTTP1Channel.Configuration {
        let limits = settings.limits
        let connections = Connections(limits, proxies: settings.proxies)
        let fields = SecurityHeaders.fields(overTLS: settings.tls != nil)
        return HTTP1Channel.Configuration(
            additionalChannelHandlers: [AnswerHeaders(fields), ConnectionGuard(connections, limits)],
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 100))
    }

    private func add(_ route: WebRoute, to router: Router<WebContext>) {
        router.on(RouterPath(route.path), method: route.method == .get ? .get : .post) { [self] request, context in
            Response(try await answer(route, request, from: context.peer))
        }
    }

    private func answer(_ route: WebRoute, _ request: Request, from peer: String) async throws -> WebResponse {
        var asked = WebRequest(headers: Self.headers(of: request), query: request.uri.query ?? "")
        asked.origin = settings.proxies?.origin(of: peer, forwarded: asked.headers["x-forwarded-for"]) ?? peer
        // What is read only is never refused: /health is asked when there is trouble.
        guard route.method == .post else { return try await answer(route, request, asked) }
        let origin = asked.origin
        guard requests.withLock({ $0.begin(origin) }) else {
            var refusal = WebResponse.text("Too many requests from this address are in progress.", status: 429)
            refusal.headers["retry-after"] = "1"
            return refusal
        }
        defer { requests.withLock { $0.end(origin) } }
        return try await answer(route, request, asked)
    }

    private func answer(_ route: WebRoute, _ request: Request, _ asked: WebRequest) async throws -> WebResponse {
        if let refusal = route.refusal(asked) { return refusal }
        var asked = asked
        do {
            asked.body = Array(try await request.body.collect(upTo: route.bodyLimit).readableBytesView)
        } catch is NIOTooManyBytesError {
            return .text("The body is longer than the \(route.bodyLimit) bytes that this address takes.", status: 413)
        }
        return await route.handler(asked)
    }

    private static func headers(of request: Request) -> [String: String] {
        var headers: [String: String] = [:]
        for field in request.headers {
            let name = field.name.canonicalName
            headers[name] = headers[name].map { "\($0), \(field.value)" } ?? field.value
        }
        return headers
    }
}

/// What is known of a connection.
private struct WebContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The address of the other end.
    let peer: String

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress?.ipAddress ?? ""
    }
}

extension Response {
    fileprivate init(_ answer: WebResponse) {
        var fields = HTTPFields()
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        self.init(
            status: HTTPResponse.Status(code: answer.status), headers: fields,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}

/// Why the web server cannot run.
package struct WebFailure: Error, CustomStringConvertible {
    package var message: String

    package var description: String { message }
}
