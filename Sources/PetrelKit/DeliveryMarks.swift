/// What delivery does with a message beyond sending its content. Backends see only the ``Reply``.
public struct DeliveryMarks: Sendable, Hashable {
    /// The name by which the module can replace the message later; see ``Speaking/replace(_:with:on:)``.
    public var handle: String?
    /// The id of a request whose result is expected later.
    public var promises: String?
    /// The id of the request whose result the message is.
    public var settles: String?

    /// Creates marks. By default they have no effect.
    public init(handle: String? = nil, promises: String? = nil, settles: String? = nil) {
        self.handle = handle
        self.promises = promises
        self.settles = settles
    }

    /// True if the message announces or delivers a result, so that it has an effect without content.
    package var concernsResult: Bool { promises != nil || settles != nil }
}
