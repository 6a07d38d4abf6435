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

    func bold(_ text: String) -> String { self == .markdown ? "**\(self.text(text))**" : Printable.line(text) }

    func code(_ text: String) -> String {
        self == .markdown ? Markdown.code(Printable.line(text)) : Printable.line(text)
    }

    func link(_ label: String, _ address: String) -> String {
        self == .markdown ? "[\(Markdown.escaped(label))](\(address))" : "\(label): \(address)"
    }

    func item(_ text: String) -> String { self == .markdown ? "- \(text)" : "• \(text)" }
}
