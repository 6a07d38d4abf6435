import AWSClient
import PetrelSupport

extension InfraTerm {
    /// The filters of EC2 of which an instance must meet one; none for ``everything``
    /// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html).
    var filters: [EC2.Filter] {
        func filters(_ value: String, _ names: String...) -> [EC2.Filter] {
            names.map { EC2.Filter($0, [value]) }
        }
        switch self {
        case .everything: return []
        case .id(let id): return filters(id, "instance-id")
        case .address(let address):
            if address.utf8.contains(UInt8(ascii: ":")) {
                return filters(address, "network-interface.ipv6-addresses.ipv6-address")
            }
            // `private-ip-address` finds only primary addresses; this one finds these and the secondary ones.
            let anyPrivate = "network-interface.addresses.private-ip-address"
            if Self.isPrivate(address) { return filters(address, anyPrivate) }
            // A VPC can also use public ranges inside.
            return filters(address, "ip-address", "network-interface.addresses.association.public-ip", anyPrivate)
        // `dns-name` and `private-dns-name` find only the primary interface.
        case .dnsName(let name, isPublic: true):
            return filters(name, "dns-name", "network-interface.addresses.association.public-dns-name")
        case .dnsName(let name, isPublic: false):
            return filters(
                name, "private-dns-name", "network-interface.private-dns-name",
                "network-interface.addresses.private-dns-name")
        case .name(let pattern): return filters(pattern, "tag:Name")
        case .tag(let key, let pattern): return filters(pattern, "tag:\(key)")
        case .state(let state): return filters(state, "instance-state-name")
        case .image(let pattern): return filters(pattern, "image-id")
        case .type(let pattern): return filters(pattern, "instance-type")
        case .zone(let pattern): return filters(pattern, "availability-zone")
        }
    }

    private static let privateNetworks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
        .compactMap { IPNetwork($0) }

    private static func isPrivate(_ address: String) -> Bool {
        IPNetwork(address).map { address in privateNetworks.contains { $0.contains(address) } } ?? false
    }

    /// Returns true if an instance has the property, as EC2 evaluates it.
    func matches(_ instance: Instance) -> Bool {
        switch self {
        case .everything: true
        case .id(let id): Self.same(instance.id, id)
        case .address(let address):
            (instance.privateAddresses + instance.publicAddresses + instance.version6Addresses)
                .contains { Self.same($0, address) }
        case .dnsName(let name, let isPublic):
            (isPublic ? instance.publicNames : instance.privateNames).contains { Self.same($0.lowercased(), name) }
        case .name(let pattern): instance.tags["Name"].map { Wildcard.matches($0, pattern) } ?? false
        case .tag(let key, let pattern): instance.tags[key].map { Wildcard.matches($0, pattern) } ?? false
        case .state(let state): Self.same(instance.state, state)
        case .image(let pattern): Wildcard.matches(instance.image, pattern)
        case .type(let pattern): Wildcard.matches(instance.type, pattern)
        case .zone(let pattern): Wildcard.matches(instance.zone, pattern)
        }
    }

    private static func same(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
}

/// The patterns of EC2's filters: `*` is any text, `?` is any character, and a backslash makes the next one literal.
enum Wildcard {
    /// Returns true if a text contains a wildcard.
    static func isPattern(_ text: String) -> Bool { parts(of: text).contains { $0 == .any || $0 == .one } }

    /// Returns the pattern without the backslashes that have no effect, so that equal patterns have one form.
    static func normal(_ pattern: String) -> String {
        var text = String.UnicodeScalarView()
        for part in parts(of: pattern) {
            switch part {
            case .any: text.append("*")
            case .one: text.append("?")
            case .scalar(let scalar):
                if scalar == "*" || scalar == "?" || scalar == "\\" { text.append("\\") }
                text.append(scalar)
            }
        }
        return String(text)
    }

    /// Returns true if a pattern matches a whole text. The time is at most the product of the lengths.
    static func matches(_ text: String, _ pattern: String) -> Bool {
        let text = Array(text.unicodeScalars)
        let parts = parts(of: pattern)
        var (place, part) = (0, 0)
        var retry: (place: Int, part: Int)?
        while place < text.count {
            if part < parts.count, parts[part] == .any {
                retry = (place, part)
                part += 1
            } else if part < parts.count, parts[part].matches(text[place]) {
                place += 1
                part += 1
            } else if let last = retry {
                retry = (last.place + 1, last.part)
                (place, part) = (last.place + 1, last.part + 1)
            } else {
                return false
            }
        }
        return parts[part...].allSatisfy { $0 == .any }
    }

    private enum Part: Equatable {
        case any
        case one
        case scalar(Unicode.Scalar)

        func matches(_ scalar: Unicode.Scalar) -> Bool { self == .one || self == .scalar(scalar) }
    }

    /// Returns true if a pattern ends with a backslash that has no character after it.
    static func isUnfinished(_ pattern: String) -> Bool {
        pattern.unicodeScalars.reversed().prefix { $0 == "\\" }.count % 2 == 1
    }

    private static func parts(of pattern: String) -> [Part] {
        var parts: [Part] = []
        var isLiteral = false
        for scalar in pattern.unicodeScalars {
            switch scalar {
            case "\\" where !isLiteral:
                isLiteral = true
                continue
            case "*" where !isLiteral: parts.append(.any)
            case "?" where !isLiteral: parts.append(.one)
            default: parts.append(.scalar(scalar))
            }
            isLiteral = false
        }
        return parts
    }
}
