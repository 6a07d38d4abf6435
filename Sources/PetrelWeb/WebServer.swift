import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
package import Logging
import NIOCore
import NIOSSL
package import PetrelKit
import ServiceLifecycle

/// Answers HTTP for every plug-in that has routes.
package final class WebServer: Service {
    package struct Settings: Sendable {
        package var host: String
        package var port: Int
        /// Paths of PEM files.
        package var tls: (certificate: String, key: String)?
        package var proxies: TrustedProxies?

        package init(
            host: String, port: Int, tls: (certificate: String, key: String)? = nil, proxies: TrustedProxies? = nil
        ) {
            self.proxies = proxies
            self.host = host
            self.port = port
            self.tls = tls
        }
    }

    private let settings: Settings
    private let routes: [WebRoute]
    private let logger: Logger
    private let listening: @Sendable (Int) -> Void

    /// - Parameter listening: called with the port once it takes connections.
    package init(
        _ settings: Settings, routes: [WebRoute], logger: Logger,
        listening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.settings = settings
        self.routes = routes
        self.logger = logger
        self.listening = listening
    }

    package func run() async throws {
        let router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
        for route in routes { add(route, to: router) }
        let configuration = ApplicationConfiguration(
            address: .hostname(settings.host, port: settings.port), serverName: nil,
            availableConnectionsDelegate: MaximumAvailableConnections(Self.connections))
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

    /// Who is silent for so long loses the connection.
    private static let channel = HTTP1Channel.Configuration(idleTimeout: .seconds(60))
    private static let connections = 1_024

    private func server() throws -> HTTPServerBuilder {
        guard let tls = settings.tls else { return .http1(configuration: Self.channel) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(tls.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: tls.key, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        return try .tls(.http1(configuration: Self.channel), tlsConfiguration: configuration)
    }

    private func add(_ route: WebRoute, to router: Router<WebContext>) {
        let proxies = settings.proxies
        router.on(RouterPath(route.path), method: route.method == .get ? .get : .post) { request, context in
            var headers: [String: String] = [:]
            for field in request.headers {
                let name = field.name.canonicalName
                headers[name] = headers[name].map { "\($0), \(field.value)" } ?? field.value
            }
            let body: ByteBuffer
            do {
                body = try await request.body.collect(upTo: route.bodyLimit)
            } catch {
                return Response(.text("That is more than this address takes.", status: 413))
            }
            let origin = proxies?.origin(of: context.peer, forwarded: headers["x-forwarded-for"]) ?? context.peer
            let answer = await route.handler(
                WebRequest(
                    headers: headers, query: request.uri.query ?? "", body: Array(body.readableBytesView),
                    origin: origin))
            return Response(answer)
        }
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
        fields[.xContentTypeOptions] = "nosniff"
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
