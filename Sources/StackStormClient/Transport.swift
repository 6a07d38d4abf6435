package import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import NIOSSL
package import PetrelSupport

/// The HTTP connections to StackStorm's services, with TLS, proxies and limits.
package final class Transport: Sendable {
    /// The way to a service: direct connections, or a client that uses a proxy.
    private enum Route: Sendable {
        /// Direct connections, the value of the `Host` header, and the path of the service.
        case direct(DirectConnections, host: String, path: String)
        case proxied(HTTPClient, base: String)
    }

    private let auth: Route
    private let api: Route
    private let stream: (client: HTTPClient, base: String)
    private let settings: StackStormSettings
    private let loop: EventLoopExecutor

    /// Creates a transport. Throws ``StackStormError`` if a certificate or key cannot be read.
    package init(_ settings: StackStormSettings, on loop: EventLoopExecutor) throws {
        self.settings = settings
        self.loop = loop
        let tls = try Self.tls(settings.tls)
        auth = try Self.route(to: settings.auth, tls, settings, loop)
        api = try Self.route(to: settings.api, tls, settings, loop)
        // The stream may be silent for minutes. EventStream detects dead connections.
        stream = (Self.client(of: settings.stream, tls, settings, loop, timeout: nil), Self.base(of: settings.stream))
    }

    private static func route(
        to url: URL, _ tls: TLSConfiguration, _ settings: StackStormSettings, _ loop: EventLoopExecutor
    ) throws -> Route {
        let isEncrypted = url.scheme == "https"
        guard ProxyEnvironment(settings.environment).proxy(for: url) == nil, let name = url.host(percentEncoded: false)
        else {
            return .proxied(client(of: url, tls, settings, loop, timeout: settings.limits.answer), base: base(of: url))
        }
        let limits = DirectConnections.Limits(
            answer: .init(settings.limits.answer), connect: .init(settings.limits.connect), body: settings.limits.body)
        let connections = DirectConnections(
            host: name, port: url.port ?? (isEncrypted ? 443 : 80),
            tls: isEncrypted ? try NIOSSLContext(configuration: tls) : nil, limits: limits,
            on: loop.eventLoop)
        let bracketed = name.contains(":") ? "[\(name)]" : name
        let path = url.path(percentEncoded: true)
        return .direct(
            connections, host: url.port.map { "\(bracketed):\($0)" } ?? bracketed,
            path: path.hasSuffix("/") ? String(path.dropLast()) : path)
    }

    private static func base(of url: URL) -> String {
        let base = url.absoluteString
        return base.hasSuffix("/") ? String(base.dropLast()) : base
    }

    private static func client(
        of url: URL, _ tls: TLSConfiguration, _ settings: StackStormSettings, _ loop: EventLoopExecutor,
        timeout: Duration?
    ) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = tls
        // Requests contain a credential, which must not be sent to another host.
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .init(settings.limits.connect)
        configuration.timeout.read = timeout.map { .init($0) }
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.idleTimeout = DirectConnections.Limits.idle
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = DirectConnections.Limits.connections
        configuration.httpVersion = .http1Only
        configuration.proxy = ProxyEnvironment(settings.environment).proxy(for: url).map { .init($0) }
        return HTTPClient(
            eventLoopGroupProvider: .shared(loop.eventLoop), configuration: configuration)
    }

    deinit {
        // The error of a client that was shut down before is ignored.
        stream.client.shutdown { _ in }
        for case .proxied(let client, _) in [auth, api] { client.shutdown { _ in } }
    }

    /// Sends a request and returns the complete response, within the limits of the settings.
    ///
    /// - Throws: ``StackStormError``. The code is `unreachable` if nothing was sent, and `noAnswer` if the request may
    ///   have been sent.
    package func send<Value>(
        _ endpoint: Endpoint<Value>, headers: [(String, String)]
    ) async throws(StackStormError) -> StackStormResponse {
        var headers = HTTPHeaders(headers)
        headers.add(name: "Accept", value: "application/json")
        headers.add(name: "User-Agent", value: "petrel")
        if endpoint.body != nil { headers.add(name: "Content-Type", value: "application/json") }
        let method = HTTPMethod(rawValue: endpoint.method)
        switch route(of: endpoint.service) {
        case .direct(let connections, let host, let path):
            headers.add(name: "Host", value: host)
            headers.add(name: "Content-Length", value: "\(endpoint.body?.count ?? 0)")
            let head = HTTPRequestHead(version: .http1_1, method: method, uri: path + endpoint.target, headers: headers)
            do {
                return try await connections.send(head, endpoint.body)
            } catch {
                throw StackStormError(error)
            }
        case .proxied(let client, let base):
            var request = HTTPClientRequest(url: base + endpoint.target)
            request.method = method
            request.headers = headers
            request.body = endpoint.body.map { .bytes(ByteBuffer(bytes: $0)) }
            return try await send(request, with: client)
        }
    }

    private func send(
        _ request: HTTPClientRequest, with client: HTTPClient
    ) async throws(StackStormError) -> StackStormResponse {
        let limit = settings.limits.body
        return try await within(settings.limits.answer) {
            let response = try await client.execute(request, deadline: .distantFuture)
            var body = try await response.body.collect(upTo: limit)
            let bytes = body.readData(length: body.readableBytes) ?? Data()
            return StackStormResponse(
                status: Int(response.status.code), headers: response.headers.lowercased, body: bytes)
        }
    }

    /// Opens the event stream.
    ///
    /// - Parameters:
    ///   - target: The path and query below ``StackStormSettings/stream``, such as `/stream?events=st2.*`.
    ///   - headers: Further headers, such as the credential.
    /// - Returns: The body, and the time of the response by StackStorm's clock.
    /// - Throws: ``StackStormError`` if the response is not an event stream.
    package func openStream(
        target: String, headers: [(String, String)]
    ) async throws(StackStormError) -> (body: HTTPClientResponse.Body, time: StackStormTime?) {
        var request = HTTPClientRequest(url: stream.base + target)
        request.headers.add(contentsOf: HTTPHeaders(headers))
        request.headers.add(name: "Accept", value: "text/event-stream")
        request.headers.add(name: "Cache-Control", value: "no-cache")
        request.headers.add(name: "User-Agent", value: "petrel")
        let prepared = request
        let client = stream.client
        return try await within(settings.limits.answer) {
            let response = try await client.execute(prepared, deadline: .distantFuture)
            guard response.status == .ok else {
                var body = try await response.body.collect(upTo: 1 << 16)
                _ = try StackStormResponse(
                    status: Int(response.status.code), headers: response.headers.lowercased,
                    body: body.readData(length: body.readableBytes) ?? Data()
                ).checked(at: "stream_url")
                throw StackStormError(
                    .unexpectedAnswer, "the stream service responded with status \(response.status.code)")
            }
            guard response.headers["content-type"].contains(where: { $0.hasPrefix("text/event-stream") }) else {
                throw StackStormError(.unexpectedAnswer, "the response is not an event stream")
            }
            return (response.body, response.headers.first(name: "date").flatMap { StackStormTime(header: $0) })
        }
    }

    private func route<Value>(of service: Endpoint<Value>.Service) -> Route {
        switch service {
        case .auth: auth
        case .api: api
        }
    }

    private func within<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws(StackStormError) -> Value {
        let task = Task(executorPreference: loop, operation: work)
        let start = ContinuousClock.now
        // A timer of the loop is cheaper than a sleeping task, which would wake another thread.
        let timer = loop.eventLoop.scheduleTask(in: TimeAmount(limit)) { task.cancel() }
        defer { timer.cancel() }
        do {
            return try await task.ownValue.get()
        } catch {
            guard !Task.isCancelled, start.duration(to: .now) >= limit else { throw StackStormError(error) }
            throw StackStormError(.noAnswer, "no complete response within \(limit)")
        }
    }
}

extension HTTPHeaders {
    var lowercased: [String: String] {
        Dictionary(map { ($0.name.lowercased(), $0.value) }) { first, _ in first }
    }
}

extension StackStormError {
    /// Creates the error of a failed request. The code is `unreachable` only if nothing was sent.
    fileprivate init(_ error: any Error) {
        switch error {
        case let error as StackStormError: self = error
        case NIOSSLError.handshakeFailed, is NIOSSLExtraError, is NIOConnectionError: self = .noConnection(error)
        case let error as HTTPClientError where error == .proxyAuthenticationRequired:
            self.init(
                .unreachable,
                "the proxy rejects the user name and password in HTTP_PROXY or HTTPS_PROXY, or requires them there")
        case let error as HTTPClientError where Self.beforeFirstByte.contains(error):
            self.init(.unreachable, "no connection", cause: "\(error)")
        case is NIOTooManyBytesError: self.init(.unexpectedAnswer, "the response exceeds the size limit")
        case is CancellationError: self.init(.noAnswer, "the call was cancelled")
        default: self.init(.noAnswer, "the connection was lost", cause: Self.plain(error))
        }
    }

    private static let beforeFirstByte: [HTTPClientError] = [
        .connectTimeout, .getConnectionFromPoolTimeout, .tlsHandshakeTimeout, .httpProxyHandshakeTimeout,
        .alreadyShutdown, .socksHandshakeTimeout, .invalidProxyResponse,
    ]
}

extension Transport {
    private static func tls(_ settings: StackStormSettings.TLS) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if !settings.verifies { tls.certificateVerification = .none }
        if let authority = settings.authority {
            guard let roots = try? NIOSSLCertificate.fromPEMFile(authority), !roots.isEmpty else {
                throw StackStormError(.unreachable, "ca_cert: \(authority) does not contain a PEM certificate")
            }
            tls.additionalTrustRoots = [.certificates(roots)]
        }
        if let certificate = settings.certificate {
            do {
                tls.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: settings.key ?? certificate, format: .pem))
            } catch {
                throw StackStormError(
                    .unreachable, "client_cert and client_key: \(certificate) and its key cannot be read as PEM",
                    cause: "\(error)")
            }
        }
        return tls
    }
}
