extension Substring {
    /// The lines of a text. LF, CR LF and a lone CR end a line; a text that ends with one has an empty last line.
    ///
    /// By UTF-8: CR LF is one `Character`, which is neither CR nor LF.
    public var textLines: [Substring] {
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
