import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PetrelSupport
import XMLStream

/// A client for the query protocol of AWS: it signs calls, repeats them where that helps, and reads the answers.
package final class QueryClient: Sendable {
    /// The maximum number of calls at the same time.
    package static let calls = 512
    /// The maximum number of attempts if AWS fails. Calls that are throttled are repeated until the deadline.
    private static let attempts = 3

    let transport: AWSTransport
    let endpoints: AWSEndpoints
    /// The clocks of the services.
    package let clock: AWSClock
    private let gate = CallGate(QueryClient.calls)

    /// Creates a client. Throws ``AWSError`` if the certificates of `AWS_CA_BUNDLE` cannot be read.
    package init(environment: [String: String], clock: AWSClock) throws {
        transport = try AWSTransport(environment: environment)
        endpoints = AWSEndpoints(environment)
        self.clock = clock
    }

    /// Returns the correction for the clock of a service, in seconds.
    func offset(of service: String, in region: String) throws -> Int64 {
        clock.offset(of: try AWSEndpoints.host(of: endpoints.url(of: service, in: region)))
    }

    /// The value that the elements of an answer build.
    package struct Reading<Value: Sendable>: Sendable {
        /// The value for an answer without elements.
        var initial: Value
        /// Adds an element of the answer to the value.
        var take: @Sendable (inout Value, XMLElement) throws -> Void
    }

    /// Calls an action. Throws ``AWSError``, or `CancellationError` if the task is cancelled.
    /// - Parameter credentials: The credentials; nil for a call that is not signed.
    func send<Value: Sendable>(
        _ call: QueryCall, in region: String, with credentials: AWSCredentials?, until deadline: Deadline,
        reading: Reading<Value>
    ) async throws -> Value {
        let url = endpoints.url(of: call.service, in: region)
        let host = try AWSEndpoints.host(of: url)
        var backoff = Backoff(first: .milliseconds(100), longest: .seconds(1))
        var failures = 0
        var last: AWSError?
        while true {
            do {
                return try await deadline.enforce(orThrow: { Self.late(call.service, deadline) }) {
                    try await self.gate.run {
                        try await self.attempt(call, at: url, host, in: region, credentials, reading)
                    }
                }
            } catch let error as AWSError where error.code == .late {
                // The reason of the attempts before is the better explanation.
                throw last ?? error
            } catch let failure as Attempt {
                failures += 1
                last = failure.error
                var random = SystemRandomNumberGenerator()
                let pause = failure.isAtOnce ? .zero : backoff.pause(using: &random)
                let most = failure.error.code == .throttled ? Int.max : Self.attempts
                // A pause beyond the deadline would replace the reason by the delay.
                guard failures < most, pause < deadline.remaining else { throw failure.error }
                try await Task.sleep(for: pause)
            }
        }
    }

    /// The failure of an attempt that may be repeated.
    private struct Attempt: Error {
        var error: AWSError
        var isAtOnce = false
    }

    private static func late(_ service: String, _ deadline: Deadline) -> AWSError {
        AWSError(.late, "\(service.uppercased()) gave no complete answer within \(deadline.limit.inSeconds)")
    }

    private func attempt<Value: Sendable>(
        _ call: QueryCall, at url: String, _ host: String, in region: String, _ credentials: AWSCredentials?,
        _ reading: Reading<Value>
    ) async throws -> Value {
        let time = clock.seconds(of: host)
        let request = request(for: call, at: url, host, in: region, credentials, time)
        do {
            let response = try await transport.send(request)
            var answer = QueryAnswer(status: Int(response.status.code), level: call.level)
            let value = try await read(response, into: &answer, reading, of: call)
            // The page of a proxy may be old.
            if answer.status == 200 || answer.awsCode != nil {
                clock.note(response.headers.first(name: "date"), from: host)
            }
            guard answer.status != 200 else { return value }
            // The signature may have been made with a wrong time.
            throw failure(of: answer, call.service, isCorrected: clock.hasMoved(since: time, at: host))
        } catch let attempt as Attempt {
            throw attempt
        } catch let error as AWSError {
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw Attempt(error: AWSError(error, host: host))
        }
    }

    private func failure(of answer: borrowing QueryAnswer, _ service: String, isCorrected: Bool) -> any Error {
        let error = AWSError(
            status: answer.status, awsCode: answer.awsCode, message: answer.message, service: service)
        switch error.code {
        case .throttled, .failed: return Attempt(error: error)
        case .signature, .expired: return isCorrected ? Attempt(error: error, isAtOnce: true) : error
        default: return error
        }
    }

    private func read<Value: Sendable>(
        _ response: HTTPClientResponse, into answer: inout QueryAnswer, _ reading: Reading<Value>, of call: QueryCall
    ) async throws -> Value {
        var value = reading.initial
        do {
            for try await buffer in response.body {
                for element in try answer.feed(buffer) { try reading.take(&value, element) }
            }
        } catch is StanzaParser.Failure {
            // An answer without XML, such as a page of a proxy, may still have a meaningful status.
            guard answer.status == 200 else { return value }
            throw Self.unexpected(response, root: answer.root, call)
        }
        guard answer.status == 200 else { return value }
        guard answer.isComplete, answer.root == "\(call.action)Response" else {
            throw Self.unexpected(response, root: answer.root, call)
        }
        return value
    }

    /// Returns the error of an answer with status 200 that is not one of AWS, or not a whole one.
    private static func unexpected(_ response: HTTPClientResponse, root: String?, _ call: QueryCall) -> AWSError {
        let name = "the answer of \(call.service.uppercased())"
        if root == "\(call.action)Response" { return AWSError(.unexpectedAnswer, "\(name) is damaged or not complete") }
        let type = response.headers.first(name: "content-type")?.oneLine(40) ?? "of an unknown type"
        let isXML = type.lowercased().utf8.contains("xml".utf8)
        return AWSError(
            .unexpectedAnswer, isXML ? "\(name) is XML of another kind, or damaged" : "\(name) is not XML, but \(type)")
    }

    private func request(
        for call: QueryCall, at url: String, _ host: String, in region: String, _ credentials: AWSCredentials?,
        _ time: Int64
    ) -> HTTPClientRequest {
        let body = call.body
        var headers: [(name: String, value: String)] = [
            ("Host", host), ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ]
        if let credentials {
            let signing = SigningRequest(
                method: "POST", path: AWSEndpoints.path(of: url), headers: headers, body: body)
            headers = SigV4(region: region, service: call.service).headers(
                of: signing, with: credentials, at: time)
        }
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        for header in headers { request.headers.add(name: header.name, value: header.value) }
        request.headers.add(name: "User-Agent", value: "petrel")
        request.body = .bytes(ByteBuffer(bytes: body))
        return request
    }
}
