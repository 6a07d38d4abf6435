/// A person or a room that the configuration names, with the place where it does.
package struct AccessMention: Sendable, Hashable {
    package enum Kind: Sendable { case person, room }

    package var text: String
    package var kind: Kind
    package var path: String

    package init(_ text: String, _ kind: Kind, at path: String) {
        self.text = text
        self.kind = kind
        self.path = path
    }
}

/// How people and rooms of one backend are written in access rules.
package struct AccessNames: Sendable {
    /// People are `@name` and rooms `#name`, besides their ids.
    package var haveSigils: Bool
    /// No name has a capital letter.
    package var areLowercase: Bool
    /// Returns whether a text has the form of an id.
    package var isID: @Sendable (_ text: String, _ kind: AccessMention.Kind) -> Bool

    package init(
        haveSigils: Bool = true, areLowercase: Bool = false,
        isID: @escaping @Sendable (_ text: String, _ kind: AccessMention.Kind) -> Bool = { _, _ in false }
    ) {
        self.haveSigils = haveSigils
        self.areLowercase = areLowercase
        self.isID = isID
    }
}

extension AccessMention.Kind {
    var sigil: Unicode.Scalar { self == .person ? "@" : "#" }
    var word: String { self == .person ? "person" : "room" }
}
