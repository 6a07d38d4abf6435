/// The rules by which a server compares nicks and channels (ISUPPORT `CASEMAPPING`).
enum IRCCase: String, Sendable, CaseIterable {
    case ascii
    case rfc1459
    case strictRFC1459 = "strict-rfc1459"
    case rfc7613

    /// Returns the form of a name by which it is compared.
    func fold(_ name: String) -> String {
        var text = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            if self == .rfc7613, scalar.value > 0x7F {
                text.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
            } else {
                text.append(folded(scalar))
            }
        }
        return String(text)
    }

    private func folded(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch (scalar, self) {
        case ("A"..."Z", _): Unicode.Scalar(UInt8(scalar.value) + 0x20)
        // Scandinavian keyboards have letters in place of these characters (RFC 1459, section 2.2).
        case ("[", .rfc1459), ("[", .strictRFC1459): "{"
        case ("]", .rfc1459), ("]", .strictRFC1459): "}"
        case ("\\", .rfc1459), ("\\", .strictRFC1459): "|"
        case ("~", .rfc1459): "^"
        default: scalar
        }
    }
}
