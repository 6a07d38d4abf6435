extension Unicode.Scalar {
    /// The scalar as typed on a keyboard: an ASCII quotation mark or space in place of a typographic quotation mark or
    /// a no-break space, which phones and chat clients insert.
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
    /// The text with ASCII quotation marks and spaces; see ``Swift/Unicode/Scalar/typed``.
    @inlinable public var typed: String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: unicodeScalars.map { $0.typed })
        return String(text)
    }
}
