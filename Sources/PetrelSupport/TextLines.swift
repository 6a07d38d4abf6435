extension Substring {
    /// The lines of a text, without their terminators.
    ///
    /// LF, CR LF and a lone CR end a line. A text that ends with a terminator has an empty last line.
    public var textLines: [Substring] {
        // The search is by UTF-8, because CR LF is a single `Character`, which equals neither CR nor LF.
        let bytes = utf8
        var lines: [Substring] = []
        var start = bytes.startIndex
        var place = start
        while place < bytes.endIndex {
            let end = place
            let byte = bytes[place]
            bytes.formIndex(after: &place)
            guard byte == 0x0A || byte == 0x0D else { continue }
            lines.append(self[start..<end])
            if byte == 0x0D, place < bytes.endIndex, bytes[place] == 0x0A { bytes.formIndex(after: &place) }
            start = place
        }
        lines.append(self[start...])
        return lines
    }
}

extension String {
    /// The lines of the text, without their terminators; see ``Swift/Substring/textLines``.
    public var textLines: [Substring] { self[...].textLines }
}
