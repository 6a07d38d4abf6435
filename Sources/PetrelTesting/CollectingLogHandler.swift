public import Logging
public import PetrelKit

/// Keeps every line, with its metadata, for a test to look through.
public struct CollectingLogHandler: LogHandler {
    private let lines: Locked<[String]>
    public var metadata: Logger.Metadata = [:]
    public var logLevel = Logger.Level.trace

    public init(_ lines: Locked<[String]>) {
        self.lines = lines
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        lines.withLock { $0.append("\(event.message) \(metadata) \(event.metadata ?? [:])") }
    }
}
