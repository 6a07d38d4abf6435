import CResolver
import Foundation
import NIOPosix

/// Where a server can be reached.
struct ServerAddress: Sendable, Hashable {
    var host: String
    var port: Int
    /// TLS from the first byte (XEP-0368); else it is begun by STARTTLS.
    var isDirect: Bool

    init(host: String, port: Int, isDirect: Bool) {
        self.host = host
        self.port = port
        self.isDirect = isDirect
    }

    /// `host`, `host:port` or `[address]:port`, as servers name another one; nil for what is none.
    init?(_ text: String, isDirect: Bool) {
        let standard = isDirect ? 5_223 : 5_222
        guard let url = URLComponents(string: "xmpp://\(text)"), let host = url.host, !host.isEmpty, url.path.isEmpty
        else { return nil }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        self.init(
            host: isBracketed ? String(host.dropFirst().dropLast()) : host, port: url.port ?? standard,
            isDirect: isDirect)
    }
}

/// Finds the servers of a domain (RFC 6120, section 3.2; XEP-0368).
struct ServiceLookup: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    struct Service: Sendable, Equatable {
        var priority: Int
        var weight: Int
        var address: ServerAddress
    }

    private static let most = 32

    /// Of a name server on loopback; 0 for the system's.
    var port: UInt16 = 0

    /// In the order in which they are to be tried.
    func addresses(of domain: String) async throws -> [ServerAddress] {
        let port = port
        // The system's resolver waits on the thread that asks.
        let found = try await NIOThreadPool.singleton.runIfActive {
            (
                Self.services("_xmpps-client._tcp.\(domain)", isDirect: true, port),
                Self.services("_xmpp-client._tcp.\(domain)", isDirect: false, port)
            )
        }
        let (direct, plain) = (found.0 ?? [], found.1 ?? [])
        // One that is called "." says that there is none (RFC 2782).
        let services = (direct + plain).filter { $0.address.host != "" }
        guard !services.isEmpty else {
            guard plain.isEmpty else { throw Failure(description: "\(domain) says that it has no XMPP server") }
            // Nobody answered, or nobody has said where it is.
            return [ServerAddress(host: domain, port: 5_222, isDirect: false)]
        }
        var random = SystemRandomNumberGenerator()
        return Self.ordered(services, using: &random).map(\.address)
    }

    /// Nil where nobody answered.
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

    /// The lower priority first; among equals at random, by their weights (RFC 2782).
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
