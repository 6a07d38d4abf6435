import PetrelSupport

/// The settings of a profile that assumes a role.
struct RoleProfile: Sendable {
    /// A source that `credential_source` names.
    enum Named: String, Sendable, CaseIterable {
        case environment = "Environment"
        case container = "EcsContainer"
        case instance = "Ec2InstanceMetadata"
    }

    /// The source of the credentials that assume the role.
    enum Source: Sendable, Hashable {
        case profile(String)
        case named(Named)
    }

    /// The role and the session.
    let request: RoleRequest
    /// The source.
    let source: Source

    /// Reads a profile with `role_arn`. Throws ``AWSError`` if a setting is missing or wrong.
    init(_ profile: SharedProfile) throws {
        guard let arn = profile["role_arn"].flatMap({ RoleARN($0) }) else {
            throw profile.error("has a role_arn that is not the ARN of a role", "role_arn")
        }
        guard profile.line("mfa_serial") == nil else {
            throw profile.error(
                "has mfa_serial, but Petrel cannot enter a code: use a role that does not require one", "mfa_serial")
        }
        request = RoleRequest(
            role: AssumableRole(arn: arn, externalID: profile["external_id"].map { Secret($0) }),
            session: profile["role_session_name"], lifetime: try Self.lifetime(profile))
        source = try Self.source(profile)
    }

    private static func lifetime(_ profile: SharedProfile) throws -> Int {
        guard let text = profile["duration_seconds"] else { return STS.lifetime }
        guard let seconds = Int(text), (900...43_200).contains(seconds) else {
            throw profile.error("has a duration_seconds that is not a number from 900 to 43200", "duration_seconds")
        }
        return seconds
    }

    private static func source(_ profile: SharedProfile) throws -> Source {
        switch (profile["source_profile"], profile["credential_source"]) {
        case (let name?, nil): return .profile(name)
        case (nil, let text?):
            if let named = Named.allCases.first(where: { text.isKeyword($0.rawValue) }) { return .named(named) }
            let names = Named.allCases.map(\.rawValue).joined(separator: ", ")
            throw profile.error("has a credential_source that is not one of \(names)", "credential_source")
        case (nil, nil):
            throw profile.error("has role_arn, but neither source_profile nor credential_source", "role_arn")
        case (_?, _?):
            throw profile.error("has both source_profile and credential_source; remove one of them", "source_profile")
        }
    }
}
