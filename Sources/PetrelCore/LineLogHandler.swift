import Foundation
package import Logging
import PetrelKit
import PetrelSupport

/// A log handler that writes lines to standard error, as text or as JSON.
package struct LineLogHandler: LogHandler {
    /// The format of log lines.
    package enum Format: String, Sendable, CaseIterable { case text, json }

    /// The level and the format of all loggers, which can change while they are used.
    package final class Control: Sendable {
        private let state: Locked<(level: Logger.Level?, format: Format)>
        private let usualLevel = Locked(Logger.Level.info)
        private let sink = Locked<@Sendable (String) -> Void>(LineLogHandler.standardError)

        /// Creates a control.
        /// - Parameter level: the minimum level; nil for `info`, or `warning` among the messages of a chat.
        package init(level: Logger.Level? = nil, format: Format = .text) {
            state = Locked((level, format))
        }

        /// The minimum level.
        package var level: Logger.Level { state.withLock { $0.level } ?? usualLevel.value }
        /// The format of lines.
        package var format: Format { state.withLock { $0.format } }
        /// Sets the closure that writes lines.
        package func redirect(to sink: @escaping @Sendable (String) -> Void) { self.sink.withLock { $0 = sink } }

        /// Sets the closure that writes lines among the messages of a chat, which only warnings interrupt unless another
        /// level is set.
        package func redirectIntoChat(to sink: @escaping @Sendable (String) -> Void) {
            usualLevel.withLock { $0 = .warning }
            redirect(to: sink)
        }

        /// Writes a line.
        package func write(_ line: String) { sink.value(line) }

        /// Sets the level and the format.
        package func set(level: Logger.Level?, format: Format) { state.withLock { $0 = (level, format) } }
    }

    /// The metadata of the logger.
    package var metadata: Logger.Metadata = [:]
    private let label: String
    private let control: Control
    /// The level of this logger, if it was set. The higher of the two levels applies.
    private var ownLevel: Logger.Level?

    /// Creates a handler.
    package init(label: String, control: Control) {
        self.label = label
        self.control = control
    }

    /// The minimum level of the logger.
    package var logLevel: Logger.Level {
        get { ownLevel.map { max($0, control.level) } ?? control.level }
        set { ownLevel = newValue }
    }

    /// A value of the metadata.
    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes a line for an event.
    package func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let now = Int64(Date.now.timeIntervalSince1970 * 1_000)
        let time = "\(UTCTime.text(now / 1_000)).\(UTCTime.digits(now % 1_000, 3))"
        switch control.format {
        case .text:
            let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\(Printable.name("\($0.value)"))" }.joined()
            control.write(
                "\(time)Z \(event.level.rawValue.uppercased()) \(label): \(Printable.line("\(event.message)"))\(details)\n"
            )
        case .json:
            var object = all.mapValues { JSONValue.string("\($0)") }
            object["time"] = .string("\(time)Z")
            object["level"] = .string(event.level.rawValue)
            object["logger"] = .string(label)
            object["message"] = .string("\(event.message)")
            if let bytes = try? JSONValue.encode(object) {
                control.write(String(decoding: bytes, as: UTF8.self) + "\n")
            }
        }
    }

    /// Writes a line to standard error.
    package static let standardError: @Sendable (String) -> Void = { line in
        StandardStream.error.offer(line)
    }
}
