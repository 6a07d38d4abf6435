/// An address (RFC 7622): `local@domain/resource`. What people write in capitals is the same in small letters, but for
/// the resource.
struct JID: Sendable, Hashable, CustomStringConvertible {
    var local: String?
    var domain: String
    var resource: String?

    private static let longestPart = 1_023

    /// Nil for what is none.
    init?(_ text: some StringProtocol) {
        // By scalars: a mark that combines with a separator must not hide it.
        let parts = text.unicodeScalars.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map {
            String(String.UnicodeScalarView($0))
        }
        let bare = parts[0].unicodeScalars.split(separator: "@", omittingEmptySubsequences: false).map {
            String(String.UnicodeScalarView($0)).lowercased()
        }
        guard bare.count <= 2, let domain = bare.last, Self.isPart(domain), bare.count == 1 || Self.isPart(bare[0]),
            parts.count == 1 || Self.isPart(parts[1])
        else { return nil }
        local = bare.count == 2 ? bare[0] : nil
        self.domain = domain
        resource = parts.count == 2 ? parts[1] : nil
    }

    /// Of a server.
    init(domain: String) { self.domain = domain.lowercased() }

    static func isResource(_ text: String) -> Bool { isPart(text) }

    private static func isPart(_ part: some StringProtocol) -> Bool {
        !part.isEmpty && part.utf8.count <= longestPart && part.unicodeScalars.allSatisfy { isPlain($0) }
    }

    /// No control character, and nothing that ends a line.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: false
        default: XMLElement.isLegal(scalar)
        }
    }

    var bare: JID {
        var bare = self
        bare.resource = nil
        return bare
    }

    /// With another resource.
    func with(_ resource: String) -> JID {
        var jid = self
        jid.resource = resource
        return jid
    }

    /// Whether the domain is this one, or a subdomain of it. By bytes: a mark that combines with the dot must not hide it.
    func isWithin(_ other: String) -> Bool {
        domain.utf8.elementsEqual(other.utf8) || domain.utf8.reversed().starts(with: ".\(other)".utf8.reversed())
    }

    /// Whether the domain is this one, or one label below it, as `conference.example.com` is below `example.com`.
    func isService(of other: String) -> Bool {
        if domain.utf8.elementsEqual(other.utf8) { return true }
        guard let dot = domain.utf8.firstIndex(of: UInt8(ascii: ".")) else { return false }
        // Not a domain of the top level, which is nobody's.
        return domain.utf8[domain.utf8.index(after: dot)...].elementsEqual(other.utf8)
            && other.utf8.contains(UInt8(ascii: "."))
    }

    var description: String {
        (local.map { $0 + "@" } ?? "") + domain + (resource.map { "/" + $0 } ?? "")
    }
}
