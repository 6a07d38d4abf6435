import PetrelSupport

/// A condition for instances.
enum InfraTerm: Sendable, Hashable {
    /// Nothing: every instance has the property.
    case everything
    /// An instance ID.
    case id(String)
    /// An IPv4 or IPv6 address, in the notation of AWS.
    case address(String)
    /// A private or a public DNS name of AWS, in lower case.
    case dnsName(String, isPublic: Bool)
    /// The tag `Name`, as a pattern with `*` and `?`.
    case name(String)
    /// Any other tag, as a pattern.
    case tag(key: String, String)
    /// A state, such as `stopped`.
    case state(String)
    /// The ID of an image, as a pattern.
    case image(String)
    /// A type, as a pattern.
    case type(String)
    /// An availability zone, as a pattern.
    case zone(String)

    /// The term as it can be typed; every term has exactly one such form.
    var typed: String {
        switch self {
        case .everything: "*"
        case .id(let text), .address(let text), .dnsName(let text, _): text
        case .name(let pattern): "name:\(Self.quoted(pattern))"
        case .tag(let key, let pattern): "tag:\(Self.quoted("\(key)=\(pattern)"))"
        case .state(let state): "state:\(state)"
        case .image(let pattern): "ami:\(Self.quoted(pattern))"
        case .type(let pattern): "type:\(Self.quoted(pattern))"
        case .zone(let pattern): "az:\(Self.quoted(pattern))"
        }
    }

    /// Returns the term that finds a name with characters that a query cannot contain, such as invisible ones, by `?` in
    /// their places. Returns nil if the name can be typed.
    static func findingUntypable(_ name: String) -> InfraTerm? {
        func isTypable(_ scalar: Unicode.Scalar) -> Bool {
            !scalar.isInvisible && !scalar.isTreacherous && scalar.typed == scalar && scalar != "\""
                && (scalar == " " || !scalar.isSeparator)
        }
        guard !name.unicodeScalars.allSatisfy(isTypable) else { return nil }
        var pattern = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            if ["*", "?", "\\"].contains(scalar) { pattern.append("\\") }
            pattern.append(isTypable(scalar) ? scalar : "?")
        }
        return .name(String(pattern))
    }

    private static func quoted(_ text: String) -> String {
        text.isEmpty || text.unicodeScalars.contains { $0.isSeparator } ? "\"\(text)\"" : text
    }

    /// True for an instance ID.
    var isID: Bool { if case .id = self { true } else { false } }

    /// True if the term only narrows a search, because many instances have the property.
    var isOnlyFilter: Bool {
        switch self {
        case .state, .type, .zone: true
        default: false
        }
    }

    // EC2 distinguishes texts that Swift treats as equal, such as the two notations of `é`.
    static func == (left: Self, right: Self) -> Bool { ExactText(left.typed) == ExactText(right.typed) }

    func hash(into hasher: inout Hasher) { ExactText(typed).hash(into: &hasher) }

    /// The states of an instance.
    static let states = ["pending", "running", "shutting-down", "terminated", "stopping", "stopped"]
}
