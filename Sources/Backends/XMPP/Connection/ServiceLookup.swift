import CResolver
import Foundation
import NIOPosix

/// The address of a server.
struct ServerAddress: Sendable, Hashable {
    var host: String
    var port: Int
    /// True for direct TLS (XEP-0368), false for STARTTLS.
    var isDirect: Bool

    init(host: String, port: Int, isDirect: Bool) {
        self.host = host
        self.port = port
        self.isDirect = isDirect
    }

    /// Parses `host`, `host:port` or `[address]:port`, the forms of `<see-other-host/>` (RFC 6120, section 4.9.3.19).
    /// Returns nil if the text is not valid.
    init?(_ text: String, isDirect: Bool) {
        let standard = isDirect ? 5_223 : 5_222
        guard let url = URLComponents(string: "xmpp://\(text)"), let host = url.host, !host.isEmpty, url.path.isEmpty,
            (1...65_535).contains(url.port ?? standard)
        else { return nil }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        self.init(
            host: isBracketed ? String(host.dropFirst().dropLast()) : host, port: url.port ?? standard,
            isDirect: isDirect)
    }
}

/// Finds the servers of a domain with DNS SRV records (RFC 6120, section 3.2; XEP-0368).
///
/// It asks the resolver of the C library, which heeds the configuration of the machine: none of the packages that Petrel
/// depends on looks up SRV records.
struct ServiceLookup: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    struct Service: Sendable, Equatable {
        var priority: Int
        var weight: Int
        var address: ServerAddress
    }

    /// The maximum number of records per lookup.
    private static let most = 32

    /// The port of a name server on loopback, or 0 for the system's resolver.
    var port: UInt16 = 0

    /// Returns the addresses in the order in which to try them. Falls back to port 5222 of the domain if there are no
    /// records. Throws ``Failure`` if the domain states that it has no XMPP server.
    func addresses(of domain: String) async throws -> [ServerAddress] {
        let port = port
        // The system's resolver blocks its thread.
        let found = try await NIOThreadPool.singleton.runIfActive {
            (
                Self.services("_xmpps-client._tcp.\(domain)", isDirect: true, port),
                Self.services("_xmpp-client._tcp.\(domain)", isDirect: false, port)
            )
        }
        let (direct, plain) = (found.0 ?? [], found.1 ?? [])
        // The target "." means that the service is not available (RFC 2782).
        let services = (direct + plain).filter { $0.address.host != "" }
        guard !services.isEmpty else {
            guard plain.isEmpty else {
                throw Failure(description: "the SRV record of \(domain) states that it has no XMPP server")
            }
            // The lookup failed, or the domain has no SRV records (RFC 6120, section 3.2.2).
            return [ServerAddress(host: domain, port: 5_222, isDirect: false)]
        }
        var random = SystemRandomNumberGenerator()
        return Self.ordered(services, using: &random).map(\.address)
    }

    /// Returns the SRV records of a name, or nil if the lookup failed.
    private static func services(_ name: String, isDirect: Bool, _ port: UInt16) -> [Service]? {
        let empty = petrel_service()
        return withUnsafeTemporaryAllocation(of: petrel_service.self, capacity: most) { found in
            found.initialize(repeating: empty)
            let count = petrel_find_services(name, port, found.baseAddress, Int32(most))
            guard count >= 0 else { return nil }
            return found.prefix(Int(count)).map { service in
                let target = withUnsafeBytes(of: service.target) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                return Service(
                    priority: Int(service.priority), weight: Int(service.weight),
                    address: ServerAddress(
                        host: target == "." ? "" : target, port: Int(service.port), isDirect: isDirect))
            }
        }
    }

    /// Orders services by ascending priority, and randomly by weight within a priority (RFC 2782).
    static func ordered(_ services: [Service], using random: inout some RandomNumberGenerator) -> [Service] {
        var ordered: [Service] = []
        for priority in Set(services.map(\.priority)).sorted() {
            var rest = services.filter { $0.priority == priority }.sorted { $0.weight < $1.weight }
            while !rest.isEmpty {
                var choice = Int.random(in: 0...rest.reduce(0) { $0 + $1.weight }, using: &random)
                let index = rest.firstIndex { service in
                    choice -= service.weight
                    return choice <= 0
                }
                ordered.append(rest.remove(at: index ?? 0))
            }
        }
        return ordered
    }
}
