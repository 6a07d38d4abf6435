/// One element of a stream: what XMPP needs of XML, and no more.
struct XMLElement: Sendable, Equatable {
    enum Node: Sendable, Equatable {
        case element(XMLElement)
        case text(String)
    }

    var name: String
    /// The namespace; empty where it is that of the parent when written.
    var namespace: String
    /// Those with a namespace of their own, such as `xml:lang`, are called by it: `http://www.w3.org/XML/1998/namespace lang`.
    var attributes: [String: String]
    var nodes: [Node]

    init(_ name: String, _ namespace: String = "", _ attributes: [String: String?] = [:], _ children: [XMLElement] = [])
    {
        self.name = name
        self.namespace = namespace
        self.attributes = attributes.compactMapValues { $0 }
        nodes = children.map { .element($0) }
    }

    init(_ name: String, _ namespace: String = "", _ attributes: [String: String?] = [:], text: String) {
        self.init(name, namespace, attributes)
        nodes = [.text(text)]
    }

    subscript(attribute: String) -> String? { attributes[attribute] }

    var children: [XMLElement] {
        nodes.compactMap { if case .element(let element) = $0 { element } else { nil } }
    }

    /// All of its own text.
    var text: String {
        nodes.compactMap { if case .text(let text) = $0 { text } else { nil } }.joined()
    }

    func child(_ name: String, _ namespace: String? = nil) -> XMLElement? {
        children.first { $0.name == name && (namespace == nil || $0.namespace == namespace) }
    }

    func has(_ name: String, _ namespace: String? = nil) -> Bool { child(name, namespace) != nil }

    mutating func append(_ child: XMLElement) { nodes.append(.element(child)) }
}

extension XMLElement {
    /// As it is written into a stream. What XML cannot hold is left out.
    /// - Parameter parent: the namespace that counts where it stands.
    func xml(in parent: String = "") -> String {
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

    /// Of an attribute: a reader makes a space of a line break or a tab.
    private static func value(_ text: String) -> String {
        escaped(text).replacing("\n", with: "&#xA;").replacing("\t", with: "&#x9;")
    }

    /// For text and for attributes in either kind of quotes.
    static func escaped(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars where isLegal(scalar) {
            switch scalar {
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "&": escaped += "&amp;"
            case "'": escaped += "&apos;"
            case "\"": escaped += "&quot;"
            // Else a reader makes it a line feed.
            case "\r": escaped += "&#xD;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// What a document may hold (XML 1.0, section 2.2).
    static func isLegal(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x9, 0xA, 0xD, 0x20...0xD7FF, 0xE000...0xFFFD, 0x1_0000...0x10_FFFF: true
        default: false
        }
    }
}
