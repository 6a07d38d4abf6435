import Foundation
import PetrelSupport

/// A profile of the shared files `~/.aws/credentials` and `~/.aws/config`
/// (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html).
struct SharedProfile: Sendable {
    private static let mostBytes = 1 << 20

    private let environment: [String: String]

    init(_ environment: [String: String]) { self.environment = environment }

    /// Returns the credentials of the profile that `AWS_PROFILE` names. Without that, returns nil if there is no
    /// profile `default` with credentials.
    func credentials() throws -> AWSCredentials? {
        let named = value("AWS_PROFILE") ?? value("AWS_DEFAULT_PROFILE")
        let profile = named ?? "default"
        var settings = try section(of: path("AWS_CONFIG_FILE", "config"), profile, prefix: "profile ")
        // The credentials file has precedence.
        settings.merge(try section(of: path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), profile)) { $1 }
        if let key = settings["aws_access_key_id"], let secret = settings["aws_secret_access_key"] {
            return AWSCredentials(
                accessKeyID: key, secretAccessKey: Secret(secret),
                sessionToken: settings["aws_session_token"].map { Secret($0) })
        }
        let others = ["role_arn", "credential_process", "sso_session", "sso_start_url", "web_identity_token_file"]
        if let other = others.first(where: { settings[$0] != nil }) {
            throw AWSError(
                .noCredentials,
                "the profile \(profile.oneLine(60)) has \(other), which Petrel does not support; it "
                    + "needs aws_access_key_id and aws_secret_access_key")
        }
        guard named != nil else { return nil }
        let state = settings.isEmpty ? "does not exist" : "has no aws_access_key_id and aws_secret_access_key"
        throw AWSError(.noCredentials, "the profile \(profile.oneLine(60)) of AWS_PROFILE \(state)")
    }

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    private func path(_ variable: String, _ file: String) -> String? {
        if let path = value(variable) {
            return path.utf8.starts(with: "~/".utf8) ? value("HOME").map { $0 + path.dropFirst() } : path
        }
        return value("HOME").map { "\($0)/.aws/\(file)" }
    }

    /// Returns the settings of a section. A file that does not exist has none.
    private func section(of path: String?, _ name: String, prefix: String = "") throws -> [String: String] {
        guard let path, FileManager.default.fileExists(atPath: path) else { return [:] }
        guard let data = FileManager.default.contents(atPath: path), data.count <= Self.mostBytes else {
            throw AWSError(.noCredentials, "\(path) cannot be read")
        }
        return Self.section(String(decoding: data, as: UTF8.self), [prefix + name] + (name == "default" ? [name] : []))
    }

    /// Returns the settings of the sections with one of the names.
    static func section(_ text: String, _ names: [String]) -> [String: String] {
        var settings: [String: String] = [:]
        var isIn = false
        for line in text[...].textLines {
            let scalars = line.unicodeScalars
            guard let first = scalars.first(where: { !$0.isSeparator }), first != "#", first != ";" else { continue }
            if first == "[" {
                let inner = scalars.drop { $0 != "[" }.dropFirst().prefix { $0 != "]" }
                isIn = names.contains(String(String.UnicodeScalarView(inner)).words.joined(separator: " "))
            } else if isIn, scalars.first?.isSeparator == false, let equals = scalars.firstIndex(of: "=") {
                // A line that is indented belongs to a nested setting, which has no credentials.
                let name = String(String.UnicodeScalarView(scalars[..<equals])).words.joined()
                let value = String(String.UnicodeScalarView(scalars[equals...].dropFirst())).words
                settings[name.lowercased()] = value.first
            }
        }
        return settings
    }
}
