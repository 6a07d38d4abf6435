import PetrelKit
import PetrelSupport

/// The markup of an answer.
enum InfraStyle: Sendable {
    case markdown
    case plain

    /// Returns a text from AWS or from a person, literally.
    func text(_ text: String) -> String {
        self == .markdown ? Markdown.escaped(Printable.line(text)) : Printable.line(text)
    }

    func bold(_ text: String) -> String {
        // Markdown has no emphasis that begins or ends with a space.
        let hasSpace = text.unicodeScalars.first?.isSeparator ?? true || text.unicodeScalars.last?.isSeparator ?? true
        return self == .markdown && !hasSpace ? "**\(self.text(text))**" : self.text(text)
    }

    func code(_ text: String) -> String {
        self == .markdown ? Markdown.code(Printable.line(text)) : Printable.line(text)
    }

    func link(_ label: String, _ address: String) -> String {
        self == .markdown ? "[\(Markdown.escaped(label))](\(address))" : "\(label): \(address)"
    }

    /// Returns a heading and items below it; in as few lines as possible, if each line is a message of its own.
    func list(_ heading: String, _ items: [String], isCompact: Bool) -> String {
        isCompact
            ? "\(heading) \(items.joined(separator: "; "))" : ([heading] + items.map(item)).joined(separator: "\n")
    }

    func item(_ text: String) -> String { self == .markdown ? "- \(text)" : "• \(text)" }
}
