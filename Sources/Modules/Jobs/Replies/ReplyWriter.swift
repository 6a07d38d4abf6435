import Logging
import PetrelKit
import PetrelSupport

/// Writes replies from the templates.
struct ReplyWriter: Sendable {
    let format: ReplyFormat
    let logger: Logger

    /// Returns a reply; nil if the occasion has none.
    func reply(_ occasion: ReplyOccasion, _ values: ReplyValues, kind: Reply.Kind) -> Reply? {
        let style = format.styles[occasion] ?? .attachment
        guard style != .disabled, let template = format.templates[occasion] else { return nil }
        var values = values
        values.messages = format.messages
        var reply = Reply(text(template, values), kind: kind)
        let colour = format.colours[occasion.colour] ?? ""
        if style == .attachment, !colour.isEmpty { reply.extra["slack"] = ["color": .string(colour)] }
        return reply
    }

    private func text(_ template: ReplyTemplate, _ values: ReplyValues) -> String {
        do {
            return try template.render(values)
        } catch {
            // Templates were tried when the configuration was read. The result is not lost if one fails nevertheless.
            logger.error("A template of a reply failed: \(error)")
            return [values.command, values.error, values.output].filter { !$0.isEmpty }.joined(separator: "\n")
        }
    }
}
