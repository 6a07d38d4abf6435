package import PetrelSupport

/// An access key of AWS, with a session token if it is temporary.
package struct AWSCredentials: Sendable, Hashable {
    /// The ID of the key, such as `AKIA…`. It is not secret.
    package var accessKeyID: String
    /// The secret key.
    package var secretAccessKey: Secret
    /// The token of a temporary key.
    package var sessionToken: Secret?
    /// The time at which a temporary key expires, in seconds since 1970 by the local clock; nil if it does not.
    package var expiration: Int64?

    /// Creates credentials.
    package init(
        accessKeyID: String, secretAccessKey: Secret, sessionToken: Secret? = nil, expiration: Int64? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
    }
}
