package import PetrelKit

/// A person or a room that the configuration names, with the place where it does.
package struct AccessMention: Sendable, Hashable {
    package typealias Kind = NameForms.Subject

    package var text: String
    package var kind: Kind
    package var path: String

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
