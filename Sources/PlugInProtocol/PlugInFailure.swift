/// The reason why a plug-in stopped.
package struct PlugInFailure: Error, Sendable, CustomStringConvertible {
    /// The reason, as part of a sentence whose subject is the plug-in: `ended with status 1`.
    package var reason: String
    /// True if another start cannot succeed.
    package var isFinal: Bool

    package init(_ reason: String, isFinal: Bool = false) {
        self.reason = reason
        self.isFinal = isFinal
    }

    /// The reason as a sentence.
    package var description: String { "the plug-in \(reason)" }
}
