package import AsyncHTTPClient
package import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import NIOSSL
import PetrelKit
import PetrelLoop

/// Bytes to StackStorm and back: connections, TLS, proxies, limits.
package final class Transport: Sendable {
    private struct Line: Sendable {
        var base: String
        var client: HTTPClient
    }

    private let auth: Line
    private let api: Line
    private let stream: Line
    private let settings: StackStormSettings

    package init(_ settings: StackStormSettings) throws {
        self.settings = settings
        let tls = try Self.tls(settings.tls)
        func line(_ url: URL, isStream: Bool = false) -> Line {
            var configuration = HTTPClient.Configuration()
            configuration.tlsConfiguration = tls
            // A credential travels along: never to another place.
            configuration.redirectConfiguration = .disallow
            configuration.timeout.connect = .init(settings.limits.connect)
            // The stream may be silent for minutes; it is watched elsewhere.
            configuration.timeout.read = isStream ? nil : .init(settings.limits.answer)
            // Shorter than any server's own limit, so that a request seldom meets a connection that was just closed.
            configuration.connectionPool.retryConnectionEstablishment = false
            configuration.connectionPool.idleTimeout = .seconds(15)
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
            configuration.httpVersion = .http1Only
            configuration.proxy = ProxyEnvironment(settings.environment).proxy(for: url)
            let base = url.absoluteString
            return Line(
                base: base.hasSuffix("/") ? String(base.dropLast()) : base,
                client: HTTPClient(
                    eventLoopGroupProvider: .shared(ChatLoop.shared.eventLoop), configuration: configuration))
        }
        auth = line(settings.auth)
        api = line(settings.api)
        stream = line(settings.stream, isStream: true)
    }

    deinit {
        // One that was shut down before says so, which is as good.
        for line in [auth, api, stream] { line.client.shutdown { _ in } }
    }

    /// The whole answer, within the time and size that the settings allow.
    package func send<Value>(
        _ endpoint: Endpoint<Value>, headers: [(String, String)]
    ) async throws(StackStormError) -> StackStormResponse {
        let line = line(of: endpoint.service)
        var request = HTTPClientRequest(url: line.base + endpoint.target)
        request.method = HTTPMethod(rawValue: endpoint.method)
        request.headers.add(contentsOf: HTTPHeaders(headers))
        request.headers.add(name: "Accept", value: "application/json")
        request.headers.add(name: "User-Agent", value: "petrel")
        if let body = endpoint.body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(data: body))
        }
        let prepared = request
        let limit = settings.limits.body
        return try await within(settings.limits.answer) {
            let response = try await line.client.execute(prepared, deadline: .distantFuture)
            var body = try await response.body.collect(upTo: limit)
            let bytes = body.readData(length: body.readableBytes) ?? Data()
            return StackStormResponse(
                status: Int(response.status.code), headers: response.headers.lowercased, body: bytes)
        }
    }

    /// The stream's body as it comes, and when it was opened by StackStorm's clock. Throws unless it is an event stream.
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
                ).checked()
                throw StackStormError(.unexpectedAnswer, "the stream answered with status \(response.status.code)")
            }
            guard response.headers["content-type"].contains(where: { $0.hasPrefix("text/event-stream") }) else {
                throw StackStormError(.unexpectedAnswer, "what answered is no event stream")
            }
            return (response.body, response.headers.first(name: "date").flatMap { StackStormTime(header: $0) })
        }
    }

    private func line<Value>(of service: Endpoint<Value>.Service) -> Line {
        switch service {
        case .auth: auth
        case .api: api
        case .stream: stream
        }
    }

    private func within<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws(StackStormError) -> Value {
        let task = Task(executorPreference: ChatLoop.shared, operation: work)
        let start = ContinuousClock.now
        // A timer of the loop costs its thread nothing; a task that sleeps wakes others.
        let timer = ChatLoop.shared.eventLoop.scheduleTask(in: TimeAmount(limit)) { task.cancel() }
        defer { timer.cancel() }
        do {
            return try await task.ownValue.get()
        } catch {
            guard !Task.isCancelled, start.duration(to: .now) >= limit else { throw StackStormError(error) }
            throw StackStormError(.noAnswer, "no complete answer within \(limit)")
        }
    }
}

extension HTTPHeaders {
    fileprivate var lowercased: [String: String] {
        Dictionary(map { ($0.name.lowercased(), $0.value) }) { first, _ in first }
    }
}

extension TimeAmount {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}

extension StackStormError {
    /// What a failed request means. Only errors that come before the first byte count as unreachable.
    fileprivate init(_ error: any Error) {
        switch error {
        case let error as StackStormError: self = error
        case is NIOConnectionError, is NIOSSLError, is BoringSSLError:
            self.init(.unreachable, "no connection", cause: "\(error)")
        case let error as HTTPClientError where Self.beforeFirstByte.contains(error):
            self.init(.unreachable, "no connection", cause: "\(error)")
        case let error as IOError where Self.connectErrors.contains(error.errnoCode):
            self.init(.unreachable, "no connection", cause: "\(error)")
        case is NIOTooManyBytesError: self.init(.unexpectedAnswer, "the answer is larger than allowed")
        case is CancellationError: self.init(.noAnswer, "given up, because Petrel stops")
        default: self.init(.noAnswer, "the connection broke", cause: "\(error)")
        }
    }

    private static let connectErrors = [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH]

    private static let beforeFirstByte: [HTTPClientError] = [
        .connectTimeout, .getConnectionFromPoolTimeout, .proxyAuthenticationRequired, .tlsHandshakeTimeout,
        .httpProxyHandshakeTimeout, .alreadyShutdown, .socksHandshakeTimeout, .invalidProxyResponse,
    ]
}

extension Transport {
    private static func tls(_ settings: StackStormSettings.TLS) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        if !settings.verifies { tls.certificateVerification = .none }
        if let authority = settings.authority {
            guard let roots = try? NIOSSLCertificate.fromPEMFile(authority), !roots.isEmpty else {
                throw StackStormError(.unreachable, "ca_cert: \(authority) holds no certificate in PEM")
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

/// The proxy that the environment asks for, as curl reads it.
package struct ProxyEnvironment: Sendable {
    private let environment: [String: String]

    package init(_ environment: [String: String]) {
        self.environment = environment
    }

    package func proxy(for url: URL) -> HTTPClient.Configuration.Proxy? {
        guard let host = url.host(percentEncoded: false)?.lowercased(), !isExcluded(host),
            let text = variable("\(url.scheme ?? "http")_proxy") ?? variable("all_proxy"),
            let proxy = URL(string: text.contains("://") ? text : "http://\(text)"),
            let name = proxy.host(percentEncoded: false)
        else { return nil }
        let port = proxy.port ?? 3128
        guard let user = proxy.user(percentEncoded: false) else { return .server(host: name, port: port) }
        return .server(
            host: name, port: port,
            authorization: .basic(username: user, password: proxy.password(percentEncoded: false) ?? ""))
    }

    private func variable(_ name: String) -> String? {
        [name, name.uppercased()].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }

    private func isExcluded(_ host: String) -> Bool {
        (variable("no_proxy") ?? "").lowercased().split(separator: ",").contains { entry in
            let entry = entry.drop { $0 == " " || $0 == "." }.prefix { $0 != " " && $0 != ":" }
            return entry == "*" || (!entry.isEmpty && (host == entry || host.hasSuffix("." + entry)))
        }
    }
}
