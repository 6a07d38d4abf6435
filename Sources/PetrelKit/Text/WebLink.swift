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
    /// opened before it; brackets that are opened inside are. The search stops at the end of the address, so that a text
    /// with many addresses takes linear time.
    public static func end<Text: Collection<Unicode.Scalar>>(of start: Text.Index, in text: Text) -> Text.Index? {
        guard let body = schemeEnd(from: start, in: text) else { return nil }
        // The number of open brackets, by their closing bracket.
        var awaited: [Unicode.Scalar: Int] = [:]
        var (place, end) = (body, body)
        while place < text.endIndex, isPart(text[place]) {
            let scalar = text[place]
            if let close = closing[scalar] { awaited[close, default: 0] += 1 }
            if closers.contains(scalar) {
                guard let count = awaited[scalar], count > 0 else { break }
                awaited[scalar] = count - 1
            }
            text.formIndex(after: &place)
            if !punctuation.contains(scalar) { end = place }
        }
        return end > body ? end : nil
    }

    /// Returns the index after `http://` or `https://`; nil if the text at the index does not begin with one of them.
    static func schemeEnd<Text: Collection<Unicode.Scalar>>(from start: Text.Index, in text: Text) -> Text.Index? {
        var place = start
        func take(_ wanted: Unicode.Scalar) -> Bool {
            guard place < text.endIndex, text[place].properties.lowercaseMapping.unicodeScalars.elementsEqual([wanted])
            else { return false }
            text.formIndex(after: &place)
            return true
        }
        guard "http".unicodeScalars.allSatisfy(take) else { return nil }
        _ = take("s")
        return "://".unicodeScalars.allSatisfy(take) ? place : nil
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
