/// An XML element with the features that XMPP uses: no comments, processing instructions or entities.
package struct XMLElement: Sendable, Equatable {
    package enum Node: Sendable, Equatable {
        case element(XMLElement)
        case text(String)
    }

    package var name: String
    /// The namespace. If it is empty, the element inherits the parent's namespace when it is written.
    package var namespace: String
    /// The attributes by name. The name of a prefixed attribute consists of its namespace, a space and the local name:
    /// `xml:lang` is `http://www.w3.org/XML/1998/namespace lang`.
    package var attributes: [String: String]
    package var nodes: [Node]

    package init(
        _ name: String, _ namespace: String = "", _ attributes: [String: String?] = [:], _ children: [XMLElement] = []
    ) {
        self.name = name
        self.namespace = namespace
        self.attributes = attributes.compactMapValues { $0 }
        nodes = children.map { .element($0) }
    }

    package init(_ name: String, _ namespace: String = "", _ attributes: [String: String?] = [:], text: String) {
        self.init(name, namespace, attributes)
        nodes = [.text(text)]
    }

    package subscript(attribute: String) -> String? { attributes[attribute] }

    package var children: [XMLElement] {
        nodes.compactMap { if case .element(let element) = $0 { element } else { nil } }
    }

    /// The concatenated text nodes, without those of child elements.
    package var text: String {
        nodes.compactMap { if case .text(let text) = $0 { text } else { nil } }.joined()
    }

    /// Returns the first child with a name. Returns nil if the element has no such child.
    /// - Parameter namespace: The namespace of the child; nil for any namespace.
    package func child(_ name: String, _ namespace: String? = nil) -> XMLElement? {
        children.first { $0.name == name && (namespace == nil || $0.namespace == namespace) }
    }

    package func has(_ name: String, _ namespace: String? = nil) -> Bool { child(name, namespace) != nil }

    package mutating func append(_ child: XMLElement) { nodes.append(.element(child)) }
}

extension XMLElement {
    /// Returns the serialized element. Omits characters that XML does not allow.
    /// - Parameter parent: the default namespace in scope.
    package func xml(in parent: String = "") -> String {
        var text = ""
        write(to: &text, in: parent)
        return text
    }

    private func write(to output: inout String, in parent: String) {
        let own = namespace.isEmpty ? parent : namespace
        output += "<" + name
        if own != parent { output += " xmlns='\(Self.value(own))'" }
        for (key, value) in attributes.sorted(by: { $0.key < $1.key }) {
            output += " \(Self.prefixed(key))='\(Self.value(value))'"
        }
        guard !nodes.isEmpty else { return output += "/>" }
        output += ">"
        for node in nodes {
            switch node {
            case .text(let text): output += Self.escaped(text)
            case .element(let element): element.write(to: &output, in: own)
            }
        }
        output += "</\(name)>"
    }

    private static let xml = "http://www.w3.org/XML/1998/namespace "

    private static func prefixed(_ key: String) -> String {
        key.hasPrefix(xml) ? "xml:" + key.dropFirst(xml.count) : key
    }

    /// Escapes an attribute value. Parsers normalize literal line breaks and tabs to spaces (XML 1.0, section 3.3.3).
    private static func value(_ text: String) -> String {
        escaped(text).replacing("\n", with: "&#xA;").replacing("\t", with: "&#x9;")
    }

    /// Escapes text for character data and for attribute values in single or double quotes.
    package static func escaped(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars where isLegal(scalar) {
            switch scalar {
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "&": escaped += "&amp;"
            case "'": escaped += "&apos;"
            case "\"": escaped += "&quot;"
            // Parsers normalize a literal carriage return to a line feed (XML 1.0, section 2.11).
            case "\r": escaped += "&#xD;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// Returns true if XML 1.0 allows the character (section 2.2).
    package static func isLegal(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x9, 0xA, 0xD, 0x20...0xD7FF, 0xE000...0xFFFD, 0x1_0000...0x10_FFFF: true
        default: false
        }
    }
}
