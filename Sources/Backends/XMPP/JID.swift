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
        !part.isEmpty && part.utf8.count <= longestPart
            && part.unicodeScalars.allSatisfy { XMLElement.isLegal($0) && $0.value >= 0x20 && $0.value != 0x7F }
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

    var description: String {
        (local.map { $0 + "@" } ?? "") + domain + (resource.map { "/" + $0 } ?? "")
    }
}
