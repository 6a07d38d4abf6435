package import PetrelSupport

/// Where the key of the store's secrets is.
package enum StoreKeySource: Sendable {
    /// In the configuration or the environment.
    case value(Secret)
    /// A file that the configuration names.
    case file(String)
    /// A credential of systemd.
    case credential(String)
    /// The file beside the configuration; made when it is first needed.
    case usual(String)
}
