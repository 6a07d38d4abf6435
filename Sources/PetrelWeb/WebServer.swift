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

/// The HTTP server for the routes of all plug-ins.
package final class WebServer: Service {
    /// The settings of the server.
    package struct Settings: Sendable {
        /// The address or host name to listen on.
        package var host: String
        /// The TCP port to listen on, or 0 to let the system choose one.
        package var port: Int
        /// The paths of the PEM files for TLS, or nil to serve plain HTTP.
        package var tls: (certificate: String, key: String)?
        /// The proxies whose `X-Forwarded-For` header is trusted.
        package var proxies: TrustedProxies?
        /// The limits on connections and requests.
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

    /// Creates a server.
    ///
    /// - Parameter listening: A closure that is called with the port when the server accepts connections.
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
        router.add(middleware: MethodCheck(routes: routes))
        for route in routes { add(route, to: router) }
        let configuration = ApplicationConfiguration(
            address: .hostname(settings.host, port: settings.port), serverName: nil,
            // More than are kept open, because connections that were closed to make room take a moment to drain.
            availableConnectionsDelegate: MaximumAvailableConnections(settings.limits.connections + 64))
        // The command logs the start of the server, so the message of Hummingbird is suppressed.
        var quiet = logger
        quiet.logLevel = .error
        let application = Application(
            router: router, server: try server(), configuration: configuration,
            onServerRunning: { [listening] channel in listening(channel.localAddress?.port ?? 0) }, logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw WebFailure(
                message: "web.port: \(settings.port) on \(settings.host) is used by another program: "
                    + "stop that program or set another port")
        } catch let error as SocketAddressError {
            throw WebFailure(message: "web.host: \(settings.host) is not an address of this machine: \(error)")
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
        // Forward secrecy and authenticated encryption only. The list applies to TLS 1.2.
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
        asked.parameters = route.parameters(of: request.uri.path) ?? [:]
        asked.origin = settings.proxies?.origin(of: peer, forwarded: asked.headers["x-forwarded-for"]) ?? peer
        // GET requests are never rejected, because /health has to work when the server is overloaded.
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
            return .text("The body is larger than the limit of \(route.bodyLimit) bytes.", status: 413)
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

/// The context of a request.
private struct WebContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The IP address of the peer.
    let peer: String

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress?.ipAddress ?? ""
    }
}

extension Response {
    init(_ answer: WebResponse) {
        var fields = HTTPFields()
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        self.init(
            status: HTTPResponse.Status(code: answer.status), headers: fields,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }
}

/// An error that prevents the start of the web server.
package struct WebFailure: Error, CustomStringConvertible {
    /// The message, which begins with the configuration key.
    package var message: String

    package var description: String { message }
}
