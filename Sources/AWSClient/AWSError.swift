import PetrelSupport

/// An error of a call of AWS.
package struct AWSError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of an error.
    package enum Code: String, Sendable, CaseIterable {
        /// No connection could be opened.
        case unreachable
        /// There was no complete answer in time.
        case late
        /// AWS limits the rate of calls.
        case throttled
        /// AWS failed.
        case failed
        /// The permission is missing.
        case denied
        /// The access key does not exist, or is not active.
        case unknownKey = "unknown_key"
        /// The signature is not accepted: the secret key is wrong.
        case signature
        /// The region is not enabled in the account.
        case disabled
        /// The session has expired.
        case expired
        /// EC2 does not accept the query.
        case query
        /// AWS does not accept the request.
        case refused
        /// The answer is not one of AWS.
        case unexpectedAnswer = "unexpected_answer"
        /// The answer exceeds the limit.
        case tooLarge = "too_large"
        /// There are no credentials.
        case noCredentials = "no_credentials"
    }

    /// The kind of the error.
    package var code: Code
    /// A clause about the error for people, without a full stop. It contains no secrets.
    package var clause: String
    /// The code that AWS returned, such as `UnauthorizedOperation`.
    package var awsCode: String?

    /// True if the query is the reason, and not the account or the region.
    package var concernsQuery: Bool { code == .query || code == .tooLarge }

    /// Creates an error.
    package init(_ code: Code, _ clause: String, awsCode: String? = nil) {
        self.code = code
        self.clause = clause
        self.awsCode = awsCode
    }

    /// The clause.
    package var description: String { clause }
}

extension AWSError {
    /// Creates the error of an answer with the status and, if it has one, the error code of AWS.
    ///
    /// The messages of AWS are not used for codes that are known: those about signatures contain the session token.
    init(status: Int, awsCode: String?, message: String?, service: String) {
        let code = Self.code(status: status, awsCode, service)
        let named = awsCode.map { " (\($0))" } ?? " (status \(status))"
        let name = service.uppercased()
        let clause =
            switch code {
            case .throttled: "\(name) limits the rate of calls\(named)"
            case .failed: "\(name) failed with status \(status)\(awsCode.map { " (\($0))" } ?? "")"
            case .denied where service == "ec2":
                "EC2 denies access\(named): the policy of the role must allow ec2:DescribeInstances"
            case .denied: "\(name) denies access\(named)"
            case .unknownKey: "\(name) does not know the access key\(named)"
            case .signature where service == "ec2":
                "EC2 does not accept the session\(named): the region may not be enabled in the account"
            case .signature: "\(name) does not accept the signature\(named): check the secret access key"
            case .disabled where service == "sts":
                "STS is not active in the region for the account of the bot\(named): activate it, or set AWS_REGION"
            case .disabled: "the region is not enabled in the account\(named)"
            case .expired where service == "sts": "the bot's own credentials have expired\(named)"
            case .expired: "the session has expired\(named)"
            // A message of STS may contain the external ID.
            default:
                "\(name) does not accept the request\(named)"
                    + (service == "sts" ? "" : Self.detail(message))
            }
        self.init(code, clause, awsCode: awsCode)
    }

    private static func code(status: Int, _ awsCode: String?, _ service: String) -> Code {
        switch awsCode {
        case "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
            "RequestThrottledException", "TooManyRequestsException", "EC2ThrottledException", "BandwidthLimitExceeded",
            "PriorRequestNotComplete", "SlowDown":
            return .throttled
        case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized":
            return .denied
        case "InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException": return .unknownKey
        case "SignatureDoesNotMatch", "AuthFailure", "InvalidSignatureException", "IncompleteSignature",
            "RequestTimeTooSkewed":
            return .signature
        case "OptInRequired", "RegionDisabledException": return .disabled
        case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired": return .expired
        default: break
        }
        switch status {
        case 429, 503: return .throttled
        case 500...: return .failed
        case 401, 403: return .denied
        case 400 where service == "ec2" && awsCode != nil: return .query
        default: return .refused
        }
    }

    private static func detail(_ message: String?) -> String {
        guard let message, !message.isEmpty else { return "" }
        return ": " + message.oneLine(160)
    }
}

extension String {
    /// Returns the first scalars of a text from another party as a single line.
    func oneLine(_ most: Int) -> String {
        let head = String(String.UnicodeScalarView(unicodeScalars.prefix(most)))
        return Printable.line(head) + (unicodeScalars.count > most ? "…" : "")
    }
}
