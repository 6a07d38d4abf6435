import XMLStream

@testable import XMPPBackend

/// Checks that the stanzas do not depend on how the bytes are split, and that written stanzas are read back unchanged.
func fuzzStanzas(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let text = Array(bytes.dropFirst())
    let size = Int(first % 9) + 1
    let whole = parsed([text[...]])
    let pieces = parsed(
        stride(from: 0, to: text.count, by: size).map { text[$0..<min($0 + size, text.count)] })
    // Data after the end of the stream is detected or not, depending on the split; it is never read.
    if (pieces ?? whole ?? []).contains(.closed) { return }
    require((whole == nil) == (pieces == nil), "pieces of \(size) end differently")
    guard let whole else { return }
    require(whole == pieces, "pieces of \(size): \(pieces ?? []) instead of \(whole)")
    for case .stanza(let stanza) in whole where isOurs(stanza) {
        let written = "<s xmlns='\(XMPPNames.client)'>" + stanza.xml(in: XMPPNames.client)
        require(stanzas(of: written)?.last == .stanza(stanza), "\(stanza) is written as \(written)")
        _ = XMPPMessage(stanza)
        _ = XMPPAnswers.answer(to: stanza, version: "1")
    }
}

/// Returns the items that a server would parse, or nil if the text is malformed.
func stanzas(of text: String) -> [StanzaParser.Item]? { parsed([Array(text.utf8)[...]]) }

/// Returns the items of the pieces, or nil if they are malformed.
private func parsed(_ pieces: [ArraySlice<UInt8>]) -> [StanzaParser.Item]? {
    var limits = StanzaParser.Limits()
    limits.depth = 8
    limits.attributes = 6
    var parser = StanzaParser(limits)
    var items: [StanzaParser.Item] = []
    for piece in pieces {
        guard let more = try? parser.feed(piece) else { return nil }
        items += more
        if items.contains(.closed) { break }
    }
    return items
}

/// Returns true if Petrel could have written the element: it has a namespace and no qualified attributes.
private func isOurs(_ element: XMLElement) -> Bool {
    !element.namespace.isEmpty && element.attributes.keys.allSatisfy { !$0.contains(" ") }
        && element.children.allSatisfy(isOurs)
}

/// Checks that the client trusts only a server that knows the password. The input is a challenge and a final message.
func fuzzSCRAM(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return }
    var scram = SCRAM(.sha256, user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO")
    let challenge = String(decoding: parts[0], as: UTF8.self)
    // More iterations would only take time.
    guard challenge.matches(of: #/i=0*([0-9]+)/#).allSatisfy({ Int($0.1).map { $0 <= 5_000 } ?? true }) else { return }
    guard let answer = try? scram.final(to: challenge) else { return }
    require(answer.hasPrefix("c=biws,r=rOprNGfwEbeRWgbNEkqO"), "an answer to another nonce: \(answer)")
    let isBelieved = (try? scram.verify(String(decoding: parts[1], as: UTF8.self))) != nil
    // The salt of the example in RFC 7677.
    require(!isBelieved || challenge.contains("s=W22ZaJ0SNY7soEsUEjb6gQ=="), "an unauthenticated server is trusted")
}
