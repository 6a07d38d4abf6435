import Crypto
import PetrelSupport

/// AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html)
/// in the `Authorization` header.
package struct SigV4: Sendable {
    /// The region that the signature is for, such as `eu-west-2`.
    package var region: String
    /// The service that the signature is for, such as `ec2`.
    package var service: String

    /// Creates a signer.
    package init(region: String, service: String) {
        self.region = region
        self.service = service
    }

    private static let algorithm = "AWS4-HMAC-SHA256"

    /// Returns the headers of a signed request: those of the request, `X-Amz-Date`, the session token if there is one,
    /// and `Authorization`.
    /// - Parameter time: The time in seconds since 1970. AWS rejects a request that is off by more than five minutes.
    package func headers(
        of request: SigningRequest, with credentials: AWSCredentials, at time: Int64
    ) -> [(name: String, value: String)] {
        var request = request
        request.headers.append(("X-Amz-Date", Self.timestamp(time)))
        if let token = credentials.sessionToken { request.headers.append(("X-Amz-Security-Token", token.reveal())) }
        return request.headers + [("Authorization", authorization(of: request, with: credentials, at: time))]
    }

    /// Returns the value of `Authorization` for a request whose other headers are complete.
    package func authorization(
        of request: SigningRequest, with credentials: AWSCredentials, at time: Int64
    ) -> String {
        let key = signingKey(credentials.secretAccessKey, day: Self.day(time))
        let signature = Self.hex(Self.hmac(stringToSign(canonical(request), at: time), with: key))
        let signed = request.canonicalHeaders.map(\.name).joined(separator: ";")
        return "\(Self.algorithm) Credential=\(credentials.accessKeyID)/\(scope(at: time)), SignedHeaders=\(signed), "
            + "Signature=\(signature)"
    }

    /// Returns the canonical request.
    package func canonical(_ request: SigningRequest) -> String {
        let headers = request.canonicalHeaders
        let lines =
            [request.method, request.canonicalPath, request.canonicalQuery]
            + headers.map { "\($0.name):\($0.value)" }
            + ["", headers.map(\.name).joined(separator: ";"), Self.hex(SHA256.hash(data: request.body))]
        return lines.joined(separator: "\n")
    }

    /// Returns the text that is signed for a canonical request.
    package func stringToSign(_ canonical: String, at time: Int64) -> String {
        let hash = Self.hex(SHA256.hash(data: Array(canonical.utf8)))
        return [Self.algorithm, Self.timestamp(time), scope(at: time), hash].joined(separator: "\n")
    }

    private func scope(at time: Int64) -> String { "\(Self.day(time))/\(region)/\(service)/aws4_request" }

    private func signingKey(_ secret: Secret, day: String) -> SymmetricKey {
        [day, region, service, "aws4_request"].reduce(SymmetricKey(data: Array("AWS4\(secret.reveal())".utf8))) {
            SymmetricKey(data: Self.hmac($1, with: $0))
        }
    }

    private static func hmac(_ text: String, with key: SymmetricKey) -> HMAC<SHA256>.MAC {
        HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
    }

    /// Returns a time such as `20150830T123600Z`.
    private static func timestamp(_ time: Int64) -> String {
        UTCTime.text(time).filter { $0 != "-" && $0 != ":" } + "Z"
    }

    private static func day(_ time: Int64) -> String { String(timestamp(time).prefix(8)) }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
