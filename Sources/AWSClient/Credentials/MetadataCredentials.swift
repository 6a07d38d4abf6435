import Foundation
import PetrelSupport

/// Credentials from the metadata services of a container and of an EC2 instance.
struct MetadataCredentials: Sendable {
    private let transport: AWSTransport
    private let environment: [String: String]
    private let containerService: String
    private let offset: @Sendable () throws -> Int64

    /// - Parameters:
    ///   - containerService: The address of the service that relative paths belong to, which ECS has on every machine.
    ///   - offset: Returns the correction for the clock of this machine, in seconds.
    init(
        _ transport: AWSTransport, _ environment: [String: String],
        containerService: String = "http://169.254.170.2", offset: @escaping @Sendable () throws -> Int64 = { 0 }
    ) {
        self.transport = transport
        self.environment = environment
        self.containerService = containerService
        self.offset = offset
    }

    /// The time limit of a call, which botocore reads from the same variable.
    private var limit: Duration {
        .seconds(value("AWS_METADATA_SERVICE_TIMEOUT").flatMap { Int($0) }.map { min(max($0, 1), 60) } ?? 1)
    }

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// Returns the credentials of an ECS task or an EKS pod
    /// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html).
    func fromContainer() async throws -> AWSCredentials? {
        guard let url = try containerURL() else { return nil }
        var headers: [(String, String)] = []
        if let token = try containerToken() { headers.append(("Authorization", token)) }
        let (status, body) = try await transport.metadata("GET", url, headers: headers, within: limit)
        return try credentials(status, body)
    }

    private func containerURL() throws -> String? {
        if let path = value("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            // Another beginning could name another machine, such as `@host/`.
            guard path.utf8.first == UInt8(ascii: "/") else {
                throw AWSError(.noCredentials, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with “/”")
            }
            return containerService + path
        }
        guard let url = value("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return nil }
        // The token must not be sent to another machine in plain text.
        let hosts = ["localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"]
        guard let parsed = URL(string: url), let host = parsed.host(percentEncoded: false),
            parsed.scheme == "https" || hosts.contains(host)
        else {
            throw AWSError(
                .noCredentials,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https://, or an address of this machine or container")
        }
        return url
    }

    private func containerToken() throws -> String? {
        let name = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
        let file = value("\(name)_FILE")
        // The value is that of the header, such as `Basic abcd`.
        let text =
            try file.map { try SecretFile.text($0, "\(name)_FILE") } ?? value(name).map { SecretFile.trimmed($0) }
        guard let text, !text.isEmpty else { return nil }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw AWSError(.noCredentials, "\(file == nil ? name : "\(name)_FILE") contains a line end")
        }
        return text
    }

    /// The reason for which an instance has no credentials, although nothing is configured wrongly.
    struct Absence: Error {
        /// A clause.
        var reason: String
    }

    /// Returns the credentials of the role of an instance, with IMDSv2. Throws ``Absence`` if there is no metadata
    /// service, or no role
    /// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html).
    func fromInstance() async throws -> AWSCredentials {
        guard value("AWS_EC2_METADATA_DISABLED")?.isKeyword("true") != true else {
            throw Absence(reason: "AWS_EC2_METADATA_DISABLED is true")
        }
        let given = value("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        let base = given ?? "http://169.254.169.254"
        let root = (base.utf8.last == UInt8(ascii: "/") ? base : base + "/") + "latest/"
        do {
            let token = try await text("PUT", root + "api/token", [("X-aws-ec2-metadata-token-ttl-seconds", "21600")])
            guard let token else { throw Absence(reason: "the metadata service of EC2 gives no token") }
            let headers = [("X-aws-ec2-metadata-token", token)]
            let list = root + "meta-data/iam/security-credentials/"
            guard let role = try await text("GET", list, headers)?.words.first else {
                throw Absence(reason: "the EC2 instance has no role")
            }
            let (status, body) = try await transport.metadata("GET", list + role, headers: headers, within: limit)
            return try credentials(status, body)
        } catch let error as AWSError where error.code == .unreachable && given == nil {
            // This is not an EC2 instance, or a container whose network is too many hops away.
            throw Absence(reason: error.clause)
        }
    }

    private func text(_ method: String, _ url: String, _ headers: [(String, String)]) async throws -> String? {
        let (status, body) = try await transport.metadata(method, url, headers: headers, within: limit)
        return status == 200 ? String(decoding: body, as: UTF8.self) : nil
    }

    private func credentials(_ status: Int, _ body: Data) throws -> AWSCredentials {
        guard status == 200 else {
            throw AWSError(.noCredentials, "the metadata service answers with status \(status)")
        }
        guard let json = try? JSONValue.parse(body), let key = json["AccessKeyId"]?.string,
            let secret = json["SecretAccessKey"]?.string
        else { throw AWSError(.noCredentials, "the metadata service answers without credentials") }
        return AWSCredentials(
            accessKeyID: key, secretAccessKey: Secret(secret), sessionToken: json["Token"]?.string.map { Secret($0) },
            expiration: try json["Expiration"]?.string.flatMap { AWSTime.seconds($0) }.map { $0 - (try offset()) })
    }
}

/// A small file with a secret.
enum SecretFile {
    /// Returns the text of a file without white space at its ends. The name of the variable is for the error.
    static func text(_ path: String, _ variable: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 1 << 16 else {
            throw AWSError(.noCredentials, "\(variable): \(path) cannot be read")
        }
        return trimmed(String(decoding: data, as: UTF8.self))
    }

    /// Returns a text without white space at its ends, such as the line end of a file.
    static func trimmed(_ text: String) -> String { text.trimmingCharacters(in: .whitespacesAndNewlines) }
}
