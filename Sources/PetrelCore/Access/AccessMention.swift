package import PetrelKit

/// A person or a room that an access list names.
package struct AccessMention: Sendable, Hashable {
    /// The kind of a name.
    package typealias Kind = NameForms.Subject

    /// The name, as configured.
    package var text: String
    /// The kind of the name.
    package var kind: Kind
    /// The JSON path of the name.
    package var path: String

    /// Creates a mention.
    package init(_ text: String, _ kind: Kind, at path: String) {
        self.text = text
        self.kind = kind
        self.path = path
    }
}

extension AccessMention.Kind {
    var sigil: Unicode.Scalar { self == .person ? "@" : "#" }
    var word: String { self == .person ? "person" : "room" }
}
