package import PetrelSupport

/// The source of the key that encrypts the secrets in the store.
package enum StoreKeySource: Sendable {
    /// A value in the configuration or the environment.
    case value(Secret)
    /// A file that the configuration names.
    case file(String)
    /// A systemd credential.
    case credential(String)
    /// The default file beside the configuration, which is created when it is first needed.
    case usual(String)
}
