import XMLStream

/// A JID (RFC 7622): `local@domain/resource`. The local part and the domain are converted to lower case.
struct JID: Sendable, Hashable, CustomStringConvertible {
    var local: String?
    var domain: String
    var resource: String?

    /// The maximum length of each part, in bytes of UTF-8.
    private static let longestPart = 1_023

    /// Parses a JID. Returns nil if the text is not valid.
    init?(_ text: some StringProtocol) {
        // Splits by scalars: a combining mark after a separator must not hide it.
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

    /// Creates the JID of a server.
    init(domain: String) { self.domain = domain.lowercased() }

    /// Returns true if the text is a valid resource, such as a nick.
    static func isResource(_ text: String) -> Bool { isPart(text) }

    private static func isPart(_ part: some StringProtocol) -> Bool {
        !part.isEmpty && part.utf8.count <= longestPart && part.unicodeScalars.allSatisfy { isPlain($0) }
    }

    /// Returns false for control characters, line separators and characters that XML does not allow.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: false
        default: XMLElement.isLegal(scalar)
        }
    }

    /// The JID without its resource.
    var bare: JID {
        var bare = self
        bare.resource = nil
        return bare
    }

    /// Returns the JID with another resource.
    func with(_ resource: String) -> JID {
        var jid = self
        jid.resource = resource
        return jid
    }

    /// Returns true if the domain is `other` or a subdomain of it. Compares bytes, so that a combining mark cannot hide
    /// the dot.
    func isWithin(_ other: String) -> Bool {
        domain.utf8.elementsEqual(other.utf8) || domain.utf8.reversed().starts(with: ".\(other)".utf8.reversed())
    }

    /// Returns true if the domain is `other` or has one more label, as `conference.example.com` has for `example.com`.
    func isService(of other: String) -> Bool {
        if domain.utf8.elementsEqual(other.utf8) { return true }
        guard let dot = domain.utf8.firstIndex(of: UInt8(ascii: ".")) else { return false }
        // Excludes top-level domains: their subdomains belong to different owners.
        return domain.utf8[domain.utf8.index(after: dot)...].elementsEqual(other.utf8)
            && other.utf8.contains(UInt8(ascii: "."))
    }

    var description: String {
        (local.map { $0 + "@" } ?? "") + domain + (resource.map { "/" + $0 } ?? "")
    }
}
