import Crypto
import Foundation
import PetrelKit
import PetrelSupport

/// Verifies the signatures of requests from Slack
/// (https://docs.slack.dev/authentication/verifying-requests-from-slack).
struct SlackSignature: Sendable {
    /// The maximum difference between the timestamp of a request and the local clock, in seconds.
    private static let tolerance = 300.0

    private let secret: Secret

    init(_ secret: Secret) {
        self.secret = secret
    }

    /// Returns true if a request was signed by Slack within the last five minutes.
    /// - Parameter headers: the headers, with lowercase names.
    func isRight(_ headers: [String: String], _ body: [UInt8], at now: Date = .now) -> Bool {
        guard !secret.reveal().isEmpty, let time = headers["x-slack-request-timestamp"], let seconds = Double(time),
            abs(now.timeIntervalSince1970 - seconds) <= Self.tolerance,
            let given = headers["x-slack-signature"], given.hasPrefix("v0="), let code = Self.bytes(given.dropFirst(3))
        else { return false }
        // Compares in constant time.
        return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: Self.signed(time, body), using: key)
    }

    private var key: SymmetricKey { SymmetricKey(data: Data(secret.reveal().utf8)) }

    private static func signed(_ time: String, _ body: [UInt8]) -> Data { Data("v0:\(time):".utf8) + Data(body) }

    private static func bytes(_ hexadecimal: Substring) -> [UInt8]? {
        let digits = hexadecimal.compactMap { $0.isASCII ? $0.hexDigitValue : nil }
        guard digits.count == hexadecimal.count, digits.count == 64 else { return nil }
        return stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }
}
