import PetrelSupport

/// A scanner for web addresses (`http://…`, `https://…`) in texts.
public enum WebLink {
    /// Returns the addresses of a text in their order.
    public static func ranges(in text: Substring) -> [Range<String.Index>] {
        let scalars = text.unicodeScalars
        var found: [Range<String.Index>] = []
        var place = scalars.startIndex
        var isInWord = false
        while place < scalars.endIndex {
            if !isInWord, let end = end(of: place, in: scalars) {
                found.append(place..<end)
                place = end
            } else {
                isInWord = isWord(scalars[place])
                scalars.formIndex(after: &place)
            }
        }
        return found
    }

    /// Returns the end of the address that begins at an index; nil if none begins there.
    ///
    /// Punctuation at the end of a sentence is not part of the address, nor is the closing bracket of one that was
    /// opened before it; brackets that are opened inside are.
    public static func end(of start: String.Index, in text: Substring.UnicodeScalarView) -> String.Index? {
        guard text[start] == "h" || text[start] == "H" else { return nil }
        let rest = text[start...]
        let head = String(String.UnicodeScalarView(rest.prefix(8))).lowercased()
        guard let scheme = ["https://", "http://"].first(where: { head.utf8.starts(with: $0.utf8) }) else { return nil }
        let body = withoutClosing(rest.dropFirst(scheme.utf8.count).prefix(while: isPart))
        return body.isEmpty ? nil : body.endIndex
    }

    /// Returns true for letters and digits.
    public static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }

    private static func isPart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "<", ">", "\"", "|", "`", "\\", "“", "”", "«", "»": false
        default: !scalar.properties.isWhitespace && scalar.properties.generalCategory != .control
        }
    }

    private static let closing: [Unicode.Scalar: Unicode.Scalar] = ["(": ")", "[": "]", "{": "}"]
    private static let closers: Set<Unicode.Scalar> = [")", "]", "}"]
    private static let punctuation: Set<Unicode.Scalar> = [
        ".", ",", ";", ":", "!", "?", "'", "*", "_", "~", "…", "’", "。", "，", "、", "；", "：", "！", "？",
    ]

    /// Returns the text up to a closing bracket that was opened before it, without the punctuation at its end.
    private static func withoutClosing(_ text: Substring.UnicodeScalarView) -> Substring.UnicodeScalarView {
        // The number of open brackets, by their closing bracket.
        var awaited: [Unicode.Scalar: Int] = [:]
        var end = text.startIndex
        for place in text.indices {
            let scalar = text[place]
            if let close = closing[scalar] { awaited[close, default: 0] += 1 }
            if closers.contains(scalar) {
                guard let count = awaited[scalar], count > 0 else { break }
                awaited[scalar] = count - 1
            }
            end = text.index(after: place)
        }
        var address = text[..<end]
        while let last = address.last, punctuation.contains(last) { address.removeLast() }
        return address
    }
}

extension WebLink {
    /// Returns true if a label looks like an address other than the target of its link.
    public static func misleads(_ label: String, about address: String) -> Bool {
        let words = label.unicodeScalars.split { $0.properties.isWhitespace }
        let shown = words.filter { $0.contains("://".unicodeScalars) || namesHost(bare($0)) }.map { bare($0) }
        let real = bare(address.unicodeScalars[...])
        return shown.contains { word in
            guard real.utf8.starts(with: word.utf8) else { return true }
            // The same host with a path is not misleading.
            let next = real.utf8.dropFirst(word.utf8.count).first
            return next.map { ![UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#")].contains($0) } ?? false
        }
    }

    /// Returns a word in lower case, without its scheme, its outer punctuation and its last slash.
    private static func bare(_ text: Substring.UnicodeScalarView) -> String {
        var text = text
        while let first = text.first, !isWord(first) { text.removeFirst() }
        while let last = text.last, !isWord(last) { text.removeLast() }
        let whole = String(String.UnicodeScalarView(text)).lowercased()
        guard let scheme = ["https://", "http://"].first(where: { whole.utf8.starts(with: $0.utf8) }) else {
            return whole
        }
        return String(whole.unicodeScalars.dropFirst(scheme.unicodeScalars.count))
    }

    /// Returns true for host names and IP addresses, such as `bank.example/x` and `10.0.0.1`, but not for `v1.2`.
    private static func namesHost(_ word: String) -> Bool {
        let host = word.unicodeScalars.prefix { $0 != "/" && $0 != "?" && $0 != "#" && $0 != ":" }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count > 1, labels.allSatisfy({ !$0.isEmpty }), let last = labels.last else { return false }
        let isName = last.count > 1 && last.allSatisfy { $0.properties.isAlphabetic }
        return isName || labels.count == 4 && labels.allSatisfy { $0.allSatisfy { ("0"..."9").contains($0) } }
    }
}
