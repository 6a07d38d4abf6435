@testable import XMPPBackend

/// However the bytes are cut, the stanzas are the same; and what is written is read as what it was.
func fuzzStanzas(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let text = Array(bytes.dropFirst())
    let size = Int(first % 9) + 1
    let whole = parsed([text[...]])
    let pieces = parsed(
        stride(from: 0, to: text.count, by: size).map { text[$0..<min($0 + size, text.count)] })
    // Whether what follows the end of the stream is noticed depends on where it is cut; nobody reads so far.
    if (pieces ?? whole ?? []).contains(.closed) { return }
    require((whole == nil) == (pieces == nil), "pieces of \(size) end otherwise")
    guard let whole else { return }
    require(whole == pieces, "pieces of \(size): \(pieces ?? []) instead of \(whole)")
    for case .stanza(let stanza) in whole where isOurs(stanza) {
        let written = "<s xmlns='\(XMPPNames.client)'>" + stanza.xml(in: XMPPNames.client)
        require(stanzas(of: written)?.last == .stanza(stanza), "\(stanza) is written as \(written)")
        _ = XMPPMessage(stanza)
        _ = XMPPAnswers.answer(to: stanza, version: "1")
    }
}

/// What a server would read; nil where it could not.
func stanzas(of text: String) -> [StanzaParser.Item]? { parsed([Array(text.utf8)[...]]) }

/// Nil for what cannot be read.
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

/// Whether it could be written here: in a namespace, and with attributes of its own.
private func isOurs(_ element: XMLElement) -> Bool {
    !element.namespace.isEmpty && element.attributes.keys.allSatisfy { !$0.contains(" ") }
        && element.children.allSatisfy(isOurs)
}

/// A challenge and an answer, in two lines: nobody but who knows the password is believed.
func fuzzSCRAM(_ bytes: [UInt8]) {
    let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { return }
    var scram = SCRAM(.sha256, user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO")
    let challenge = String(decoding: parts[0], as: UTF8.self)
    // More would only take long.
    guard challenge.matches(of: #/i=0*([0-9]+)/#).allSatisfy({ Int($0.1).map { $0 <= 5_000 } ?? true }) else { return }
    guard let answer = try? scram.final(to: challenge) else { return }
    require(answer.hasPrefix("c=biws,r=rOprNGfwEbeRWgbNEkqO"), "an answer to another nonce: \(answer)")
    let isBelieved = (try? scram.verify(String(decoding: parts[1], as: UTF8.self))) != nil
    // The one that RFC 7677 has for its example.
    require(!isBelieved || challenge.contains("s=W22ZaJ0SNY7soEsUEjb6gQ=="), "a stranger is believed")
}
