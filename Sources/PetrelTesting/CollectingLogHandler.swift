public import Logging
import PetrelKit
public import PetrelSupport

/// A log handler that passes each line, with its metadata, to a test.
public struct CollectingLogHandler: LogHandler {
    private let take: @Sendable (String) -> Void
    /// The metadata of the logger.
    public var metadata: Logger.Metadata = [:]
    /// The minimum level. By default every line is passed.
    public var logLevel = Logger.Level.trace

    /// Creates a handler that appends lines to a list.
    public init(_ lines: Locked<[String]>) {
        self.init { line in lines.withLock { $0.append(line) } }
    }

    /// Creates a handler that passes lines to a closure.
    public init(_ take: @escaping @Sendable (String) -> Void) {
        self.take = take
    }

    /// A value of the metadata.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Passes an event to the test, as its message and its metadata.
    public func log(event: LogEvent) {
        take("\(event.message) \(metadata) \(event.metadata ?? [:])")
    }
}
