import PetrelSupport

/// The credentials of a profile of the shared files, in the order of botocore: a role, a web identity, the access key of
/// the credentials file, a program, the access key of the configuration file
/// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html).
struct ProfileCredentials: Sendable {
    /// Returns the credentials of a source that `credential_source` can name. Returns nil if it is not configured.
    typealias Named = @Sendable (_ source: RoleProfile.Named) async throws -> AWSCredentials?

    private let profiles: SharedProfiles
    private let assumption: RoleAssumption
    private let identity: WebIdentity
    private let program: ProcessCredentials
    private let named: Named

    init(
        _ profiles: SharedProfiles, _ assumption: RoleAssumption, _ identity: WebIdentity,
        _ program: ProcessCredentials,
        named: @escaping Named
    ) {
        self.profiles = profiles
        self.assumption = assumption
        self.identity = identity
        self.program = program
        self.named = named
    }

    /// Returns the credentials of the role that the selected profile assumes. Returns nil if it does not assume one.
    func fromRole() async throws -> AWSCredentials? {
        guard let profile = try profiles.profile(profiles.selected ?? "default"), profile.assumesRole else {
            return nil
        }
        return try await fromRole(of: profile, through: [])
    }

    /// Returns the credentials of the web identity of the environment or of the selected profile. Returns nil if neither
    /// has a web identity.
    func fromWebIdentity() async throws -> AWSCredentials? {
        try await identity.fetch(try profiles.profile(profiles.selected ?? "default"), orEnvironment: true)
    }

    /// Returns the credentials that the selected profile itself has. Returns nil if there is no profile `default`, or if
    /// that has no credentials. Throws an error if `AWS_PROFILE` names such a profile.
    func fromProfile() async throws -> AWSCredentials? {
        let selected = profiles.selected
        guard let profile = try profiles.profile(selected ?? "default") else {
            guard let selected else { return nil }
            throw AWSError(.noCredentials, "the profile \(selected.oneLine(60)) of AWS_PROFILE does not exist")
        }
        if let found = try await own(of: profile) { return found }
        guard selected != nil else { return nil }
        throw profile.error("has no credentials", "")
    }

    /// Returns what a profile itself has, apart from a role and a web identity.
    private func own(of profile: SharedProfile) async throws -> AWSCredentials? {
        try Self.refuseSingleSignOn(profile)
        if let keys = try profile.keys(of: profile.credentials) { return keys }
        if let found = try await program.fetch(profile) { return found }
        return try profile.keys(of: profile.config)
    }

    private static func refuseSingleSignOn(_ profile: SharedProfile) throws {
        let names = ["sso_account_id", "sso_role_name", "sso_session", "sso_start_url", "login_session"]
        guard let name = names.first(where: { profile.line($0) != nil }) else { return }
        // A profile that only shares a session with others may have credentials of its own.
        if name == "sso_session" || name == "sso_start_url",
            profile.hasKeys || profile.line("credential_process") != nil
        {
            return
        }
        throw profile.error(
            "has \(name), and Petrel does not sign in for a person: use a role with source_profile or credential_source, "
                + "or a second profile with credential_process = aws configure export-credentials --profile "
                + profile.name.oneLine(60), name)
    }

    /// Assumes the role of a profile.
    /// - Parameter chain: The names of the profiles for which this one is the source.
    private func fromRole(of profile: SharedProfile, through chain: [String]) async throws -> AWSCredentials {
        let role = try RoleProfile(profile)
        let source =
            switch role.source {
            case .named(let source): try await credentials(of: source, for: profile)
            case .profile(let name): try await credentials(of: name, for: profile, through: chain + [profile.name])
            }
        return try await assumption.credentials(of: role.request, with: source)
    }

    private func credentials(of source: RoleProfile.Named, for profile: SharedProfile) async throws -> AWSCredentials {
        var reason = ""
        do {
            if let found = try await named(source) { return found }
        } catch let absence as MetadataCredentials.Absence {
            reason = ": \(absence.reason)"
        }
        throw profile.error(
            "has credential_source = \(source.rawValue), which has no credentials\(reason)", "credential_source")
    }

    private func credentials(
        of name: String, for profile: SharedProfile, through chain: [String]
    ) async throws -> AWSCredentials {
        guard let source = try profiles.profile(name) else {
            throw profile.error(
                "has source_profile = \(name.oneLine(60)), which does not exist", "source_profile")
        }
        // A profile may be its own source if it has an access key as well, but not a part of a longer circle.
        guard !chain.contains(name) || name == profile.name && source.hasKeys else {
            let circle = (chain + [name]).map { $0.oneLine(60) }.joined(separator: ", ")
            throw profile.error("has a source_profile that leads back to itself: \(circle)", "source_profile")
        }
        if source.assumesRole, !source.hasKeys { return try await fromRole(of: source, through: chain) }
        if let found = try await identity.fetch(source, orEnvironment: false) { return found }
        if let found = try await own(of: source) { return found }
        throw source.error("has no credentials for the profile \(profile.name.oneLine(60))", "")
    }
}
