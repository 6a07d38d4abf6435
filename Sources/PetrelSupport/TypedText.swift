extension Unicode.Scalar {
    /// What a person typed where a phone made something finer of it: smart quotes and no-break spaces made plain.
    @inlinable public var typed: Unicode.Scalar {
        switch value {
        case ..<0xA0: self
        case 0xA0, 0x2007, 0x202F: " "
        case 0x2018...0x201B: "'"
        case 0x201C...0x201F: "\""
        default: self
        }
    }
}

extension String {
    /// Scalar by scalar; see ``Swift/Unicode/Scalar/typed``.
    @inlinable public var typed: String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: unicodeScalars.map { $0.typed })
        return String(text)
    }
}
