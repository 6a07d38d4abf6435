import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import PetrelSupport

/// The HTTP connections to AWS, with proxies and limits.
final class AWSTransport: Sendable {
    /// The maximum number of connections to one host.
    static let connections = 256

    private let direct: HTTPClient
    private let proxies: ProxyEnvironment
    private let configuration: HTTPClient.Configuration
    private let proxied = Locked<[(proxy: ProxyEnvironment.Proxy, client: HTTPClient)]>([])

    /// Creates a transport. Throws ``AWSError`` if the certificates of `AWS_CA_BUNDLE` cannot be read.
    init(environment: [String: String]) throws {
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = try Self.tls(environment["AWS_CA_BUNDLE"])
        // A signed request must not be sent to another host.
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(3)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.idleTimeout = .seconds(50)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = Self.connections
        configuration.httpVersion = .http1Only
        self.configuration = configuration
        direct = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        proxies = ProxyEnvironment(environment)
    }

    deinit {
        // The error of a client that was shut down before is ignored.
        direct.shutdown { _ in }
        for (_, client) in proxied.value { client.shutdown { _ in } }
    }

    static func tls(_ bundle: String?) throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        guard let bundle, !bundle.isEmpty else { return tls }
        do {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(bundle))
        } catch {
            throw AWSError(.noCredentials, "AWS_CA_BUNDLE: \(bundle) cannot be read as PEM")
        }
        return tls
    }

    /// Sends a request and returns the head of the response; the body is read from it.
    func send(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        try await client(for: request.url).execute(request, deadline: .distantFuture)
    }

    /// Sends a request to a metadata service of this machine, never through a proxy, and returns the body.
    ///
    /// Throws ``AWSError``; the code is `unreachable` if there is no such service.
    func metadata(
        _ method: String, _ url: String, headers: [(String, String)] = [], within limit: Duration
    ) async throws -> (status: Int, body: Data) {
        guard URL(string: url)?.hasValidPort == true else {
            throw AWSError(.noCredentials, "the metadata service at \(Self.host(of: url)) has no valid address")
        }
        var request = HTTPClientRequest(url: url)
        request.method = .init(rawValue: method)
        request.headers.add(contentsOf: .init(headers))
        let (prepared, client) = (request, direct)
        return try await Deadline(after: limit).enforce(
            orThrow: { AWSError(.unreachable, "the metadata service at \(Self.host(of: url)) does not answer") },
            {
                do {
                    let response = try await client.execute(prepared, deadline: .distantFuture)
                    let body = try await response.body.collect(upTo: 1 << 16)
                    return (Int(response.status.code), Data(body.readableBytesView))
                } catch is CancellationError {
                    throw CancellationError()
                } catch {
                    throw AWSError(.unreachable, "the metadata service at \(Self.host(of: url)) cannot be reached")
                }
            })
    }

    static func host(of url: String) -> String {
        guard let parsed = URL(string: url), let host = parsed.host(percentEncoded: false) else { return "?" }
        return parsed.port.map { "\(host):\($0)" } ?? host
    }

    private func client(for url: String) -> HTTPClient {
        guard let parsed = URL(string: url), let proxy = proxies.proxy(for: parsed) else { return direct }
        return proxied.withLock { proxied in
            if let known = proxied.first(where: { $0.proxy == proxy }) { return known.client }
            var configuration = configuration
            configuration.proxy = HTTPClient.Configuration.Proxy(proxy)
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            proxied.append((proxy, client))
            return client
        }
    }
}

extension AWSError {
    /// Creates the error of a request that failed before there was a complete response.
    init(_ error: any Error, host: String) {
        switch error {
        case let error as AWSError: self = error
        case let error as HTTPClientError where error == .proxyAuthenticationRequired:
            self.init(.unreachable, "the proxy in HTTPS_PROXY requires a user name and a password")
        case let error as NIOConnectionError where error.connectionErrors.isEmpty:
            let isProxy = !host.utf8.starts(with: error.host.utf8)
            let name = "the name \(error.host.oneLine(80))\(isProxy ? " of the proxy in HTTPS_PROXY" : "")"
            self.init(.unreachable, "\(name) cannot be resolved")
        case is NIOConnectionError, is HTTPClientError, is ChannelError, is IOError:
            self.init(.unreachable, "\(host) cannot be reached")
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            self.init(.unreachable, "the certificate of \(host) is not trusted, or there is no TLS")
        default: self.init(.unreachable, "the connection to \(host) was lost")
        }
    }
}
