import Foundation
import PetrelSupport

/// The reason why a text is not a query.
struct QueryProblem: Error, Sendable, Hashable {
    /// A sentence.
    var text: String

    init(_ text: String) { self.text = text }
}

extension InfraTerm {
    /// The maximum length of a value in EC2, in characters.
    private static let longest = 255

    /// Parses a word. Throws ``QueryProblem``.
    init(_ word: String) throws(QueryProblem) {
        guard word.unicodeScalars.count <= Self.longest else {
            throw QueryProblem("A word has more than \(Self.longest) characters.")
        }
        if word.utf8.elementsEqual("*".utf8) {
            self = .everything
        } else if let term = try Self.identifier(word) {
            self = term
        } else if let colon = word.unicodeScalars.firstIndex(of: ":") {
            let key = String(word[..<colon])
            self = try Self.filter(key, String(String.UnicodeScalarView(word.unicodeScalars[colon...].dropFirst())))
        } else {
            self = .name(try Self.pattern(word))
        }
    }

    /// Returns the term of an ID, an address or a DNS name. Returns nil if the word is something else.
    private static func identifier(_ word: String) throws(QueryProblem) -> InfraTerm? {
        if let id = try instanceID(word) { return .id(id) }
        if let address = address(word) { return .address(address) }
        // Text that was copied may have a comma or a parenthesis beside the word.
        let marks: [Unicode.Scalar] = ["(", ")", ",", ";", "<", ">", "'"]
        let inner = word.unicodeScalars.drop { marks.contains($0) }
        let end = inner.lastIndex { !marks.contains($0) }
        if let end, inner[...end].count < word.unicodeScalars.count {
            return try identifier(String(inner[...end]))
        }
        for ends in [["/", "%"], [":", ","]] as [[Unicode.Scalar]] {
            let start = word.unicodeScalars.prefix { !ends.contains($0) }
            guard start.count == word.unicodeScalars.count || address(String(start)) == nil else {
                throw QueryProblem("Write a single address, without a prefix length, a zone and a port.")
            }
        }
        return dnsName(word)
    }

    /// The numbers of digits of an instance ID.
    private static let lengths = [8, 17]

    /// Returns true if a text is an instance ID in lower case.
    static func isInstanceID(_ text: String) -> Bool { digits(of: text).map(lengths.contains) ?? false }

    /// Returns the number of hexadecimal digits after `i-`. Returns nil if the text has another form.
    private static func digits(of text: String) -> Int? {
        guard text.utf8.starts(with: "i-".utf8) else { return nil }
        let digits = text.utf8.dropFirst(2)
        let isHexadecimal = digits.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        return isHexadecimal && !digits.isEmpty ? digits.count : nil
    }

    private static func instanceID(_ word: String) throws(QueryProblem) -> String? {
        let text = word.lowercased()
        guard let count = digits(of: text) else { return nil }
        // A name of this form has to be written as such.
        guard lengths.contains(count) else {
            throw QueryProblem("An instance ID has 8 or 17 hexadecimal digits; this one has \(count).")
        }
        return text
    }

    /// Returns an address in the notation of AWS, which for IPv6 is that of RFC 5952. Returns nil if the word is not an
    /// address.
    private static func address(_ word: String) -> String? {
        var scalars = Substring(word).unicodeScalars
        if scalars.first == "[", scalars.last == "]" { scalars = scalars.dropFirst().dropLast() }
        let text = String(scalars)
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return text }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &six, &buffer, socklen_t(buffer.count)) != nil else { return nil }
        let found = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // An IPv4 address in the notation of IPv6 (RFC 4291, section 2.5.5.2).
        let mapped = "::ffff:"
        guard found.utf8.starts(with: mapped.utf8) else { return found }
        let rest = String(decoding: found.utf8.dropFirst(mapped.utf8.count), as: UTF8.self)
        return inet_pton(AF_INET, rest, &four) == 1 ? rest : found
    }

    /// Returns the term of a DNS name that AWS assigns. Returns nil if the word is not such a name.
    private static func dnsName(_ word: String) -> InfraTerm? {
        var text = word.lowercased()
        if text.utf8.last == UInt8(ascii: ".") { text = String(decoding: text.utf8.dropLast(), as: UTF8.self) }
        let bytes = Array(text.utf8)
        func ends(_ suffixes: [String]) -> Bool {
            suffixes.contains { bytes.count > $0.utf8.count && bytes.suffix($0.utf8.count).elementsEqual($0.utf8) }
        }
        guard bytes.allSatisfy({ $0 == 0x2D || $0 == 0x2E || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) })
        else { return nil }
        if let address = addressOfHostName(text) { return .address(address) }
        if ends([".ec2.internal", ".compute.internal"]) { return .dnsName(text, isPublic: false) }
        let isPublic = ends([".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu"])
        return isPublic ? .dnsName(text, isPublic: true) : nil
    }

    /// Returns the address in a host name that EC2 assigns, such as `ip-10-2-3-4`, which the prompt of a shell shows.
    private static func addressOfHostName(_ name: String) -> String? {
        guard name.utf8.starts(with: "ip-".utf8) else { return nil }
        var four = in_addr()
        let text = String(
            decoding: name.utf8.dropFirst(3).map { $0 == UInt8(ascii: "-") ? UInt8(ascii: ".") : $0 }, as: UTF8.self)
        return inet_pton(AF_INET, text, &four) == 1 ? text : nil
    }

    private static func filter(_ key: String, _ value: String) throws(QueryProblem) -> InfraTerm {
        guard !value.isEmpty else { throw QueryProblem("There is no value after “\(Printable.line(key)):”.") }
        switch key.lowercased() {
        case "name": return .name(try pattern(value))
        case "tag": return try tag(value)
        case "state":
            let state = value.lowercased()
            guard states.contains(state) else {
                throw QueryProblem("Unknown state. The states are \(states.joined(separator: ", ")).")
            }
            return .state(state)
        // AWS writes these in lower case.
        case "ami": return .image(try pattern(value.lowercased()))
        case "type": return .type(try pattern(value.lowercased()))
        case "az": return .zone(try pattern(value.lowercased()))
        default: throw QueryProblem("Unknown filter “\(Printable.line(key)):”.")
        }
    }

    /// Returns a pattern in its normal form.
    private static func pattern(_ text: String) throws(QueryProblem) -> String {
        guard !Wildcard.isUnfinished(text) else { throw QueryProblem("A backslash must have a character after it.") }
        return Wildcard.normal(text)
    }

    private static func tag(_ text: String) throws(QueryProblem) -> InfraTerm {
        let scalars = text.unicodeScalars
        guard let equals = scalars.firstIndex(of: "="), equals > scalars.startIndex else {
            throw QueryProblem("Write a tag as tag:KEY=VALUE.")
        }
        let key = String(String.UnicodeScalarView(scalars[..<equals]))
        let value = try pattern(String(String.UnicodeScalarView(scalars[equals...].dropFirst())))
        // EC2 has one property for both forms.
        return key.utf8.elementsEqual("Name".utf8) && !value.isEmpty ? .name(value) : .tag(key: key, value)
    }
}
