import PetrelSupport

/// A profile of the shared files.
struct SharedProfile: Sendable {
    /// A section of a file.
    struct Section: Sendable {
        /// The path of the file.
        var file: String
        /// The settings, by name in lower case.
        var settings: [String: String]
    }

    /// The name.
    let name: String
    /// The section of the credentials file, which has precedence.
    let credentials: Section?
    /// The section of the configuration file.
    let config: Section?

    /// Returns the value of a setting, without a comment at its end. Returns nil if it is missing or empty.
    subscript(setting: String) -> String? {
        guard let value = line(setting) else { return nil }
        let scalars = value.unicodeScalars
        let end = scalars.indices.first { index in
            (scalars[index] == "#" || scalars[index] == ";") && index > scalars.startIndex
                && scalars[scalars.index(before: index)].isSeparator
        }
        guard let end else { return value }
        let words = String(scalars[..<end]).words
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    /// Returns the value of a setting as it is written. Returns nil if it is missing or empty.
    func line(_ setting: String) -> String? {
        section(of: setting)?.settings[setting].flatMap { $0.isEmpty ? nil : $0 }
    }

    private func section(of setting: String) -> Section? {
        [credentials, config].lazy.compactMap(\.self).first { $0.settings[setting] != nil }
    }

    /// True if the profile assumes a role with the credentials of another source.
    var assumesRole: Bool { line("role_arn") != nil && line("web_identity_token_file") == nil }

    /// True if the profile has an access key.
    var hasKeys: Bool { line("aws_access_key_id") != nil || line("aws_secret_access_key") != nil }

    /// Returns the access key of a section, which must be complete in it. Returns nil if the section has no access key.
    func keys(of section: Section?) throws -> AWSCredentials? {
        guard let section else { return nil }
        let own = SharedProfile(name: name, credentials: section, config: nil)
        switch (own["aws_access_key_id"], own["aws_secret_access_key"]) {
        case (let key?, let secret?):
            return AWSCredentials(
                accessKeyID: key, secretAccessKey: Secret(secret),
                sessionToken: (own["aws_session_token"] ?? own["aws_security_token"]).map { Secret($0) })
        case (nil, nil): return nil
        case (_, nil): throw own.error("has aws_access_key_id, but not aws_secret_access_key", "aws_access_key_id")
        case (nil, _): throw own.error("has aws_secret_access_key, but not aws_access_key_id", "aws_secret_access_key")
        }
    }

    /// Returns the error of a profile with the file in which a setting is.
    /// - Parameter clause: The predicate of a sentence about the profile.
    func error(_ clause: String, _ setting: String) -> AWSError {
        let file = (section(of: setting) ?? credentials ?? config).map { " in \($0.file)" } ?? ""
        return AWSError(.noCredentials, "the profile \(name.oneLine(60))\(file) \(clause)")
    }
}
