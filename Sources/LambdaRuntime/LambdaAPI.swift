import AsyncHTTPClient
package import Foundation
import NIOCore
import NIOHTTP1
package import PetrelSupport

/// A client of the runtime API of AWS Lambda (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
package final class LambdaAPI: Sendable {
    /// An invocation of the function.
    package struct Invocation: Sendable {
        /// The identifier.
        package var id: String
        /// The time at which the function is ended.
        package var deadline: Date
        /// The event, as JSON.
        package var event: [UInt8]
    }

    /// The failure of a call.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private static let longestEvent = 8 << 20

    private let client: HTTPClient
    private let base: String

    /// Creates a client.
    /// - Parameter host: The host and the port of the API, as in the variable `AWS_LAMBDA_RUNTIME_API`.
    package init(_ host: String, on loop: EventLoopExecutor) {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(5)
        configuration.httpVersion = .http1Only
        client = HTTPClient(eventLoopGroupProvider: .shared(loop.eventLoop), configuration: configuration)
        base = "http://\(host)/2018-06-01/runtime"
    }

    deinit { client.shutdown { _ in } }

    /// Waits for the next invocation.
    package func next() async throws -> Invocation {
        // Between invocations the environment may be frozen for hours.
        let response = try await client.execute(
            HTTPClientRequest(url: "\(base)/invocation/next"), deadline: .distantFuture)
        let body = try await response.body.collect(upTo: Self.longestEvent)
        guard response.status == .ok, let id = response.headers.first(name: "Lambda-Runtime-Aws-Request-Id") else {
            throw Failure(
                description: "The runtime API answered the request for an invocation with \(response.status).")
        }
        let deadline = response.headers.first(name: "Lambda-Runtime-Deadline-Ms").flatMap { Double($0) }
        return Invocation(
            id: id, deadline: deadline.map { Date(timeIntervalSince1970: $0 / 1_000) } ?? .now + 30,
            event: Array(body.readableBytesView))
    }

    /// Sends the result of an invocation.
    package func respond(_ id: String, _ result: JSONValue) async throws {
        try await post("invocation/\(id)/response", result)
    }

    /// Reports that an invocation failed.
    package func fail(_ id: String, _ message: String) async throws {
        try await post("invocation/\(id)/error", Self.error(message), errorType: "Petrel.Event")
    }

    /// Reports that the function cannot start.
    package func failInitialization(_ message: String) async throws {
        try await post("init/error", Self.error(message), errorType: "Petrel.Start")
    }

    private static func error(_ message: String) -> JSONValue {
        ["errorMessage": .string(message), "errorType": "Petrel", "stackTrace": []]
    }

    private func post(_ path: String, _ value: JSONValue, errorType: String? = nil) async throws {
        var request = HTTPClientRequest(url: "\(base)/\(path)")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        if let errorType { request.headers.add(name: "Lambda-Runtime-Function-Error-Type", value: errorType) }
        request.body = .bytes(try JSONValue.encode(value))
        let response = try await client.execute(request, timeout: .seconds(10))
        _ = try await response.body.collect(upTo: 64 << 10)
        guard response.status == .accepted else {
            throw Failure(description: "The runtime API answered \(path) with \(response.status).")
        }
    }
}
