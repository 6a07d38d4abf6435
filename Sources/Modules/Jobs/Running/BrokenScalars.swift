/// Parts of a text in UTF-8 that were cut at a number of bytes.
extension ArraySlice<UInt8> {
    /// The bytes without the rest of a character whose beginning is missing.
    var withoutBrokenStart: ArraySlice<UInt8> {
        dropFirst(prefix(3).prefix { UTF8.isContinuation($0) }.count)
    }

    /// The bytes without a character whose end is missing, unless nothing would be left.
    var withoutBrokenEnd: ArraySlice<UInt8> {
        guard let lead = suffix(4).lastIndex(where: { !UTF8.isContinuation($0) }), lead > startIndex else {
            return self
        }
        let length = self[lead] >= 0xF0 ? 4 : self[lead] >= 0xE0 ? 3 : self[lead] >= 0xC0 ? 2 : 1
        return lead + length > endIndex ? self[..<lead] : self
    }
}
