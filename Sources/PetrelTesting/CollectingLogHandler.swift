public import Logging
import PetrelKit
public import PetrelSupport

/// Hands every line, with its metadata, to a test.
public struct CollectingLogHandler: LogHandler {
    private let take: @Sendable (String) -> Void
    public var metadata: Logger.Metadata = [:]
    public var logLevel = Logger.Level.trace

    public init(_ lines: Locked<[String]>) {
        self.init { line in lines.withLock { $0.append(line) } }
    }

    /// - Parameter take: gets each line as it comes.
    public init(_ take: @escaping @Sendable (String) -> Void) {
        self.take = take
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        take("\(event.message) \(metadata) \(event.metadata ?? [:])")
    }
}
