import Foundation
import PetrelKit
import PetrelSupport
import XMLStream

@testable import SlackBackend
@testable import StackStormClient
@testable import StackStormModule
@testable import XMPPBackend

/// Checks that Slack and XMPP clients show a StackStorm result as it was printed. The first byte selects how the result
/// is sent.
func fuzzResults(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let raw = String(decoding: bytes.dropFirst(), as: UTF8.self)
    let way = Way(first)
    checkMarkup(raw)
    guard let announcement = Announcement(json: ["channel": "#ops", "message": .string(raw)]) else {
        fatalError("a text was not accepted as an announcement")
    }
    let reply = ResultWriter().reply(announcement.text, .result, extra: way.extra).cleaned
    let printed = PrintedText(raw)
    require(
        reply.text.utf8.elementsEqual(printed.text.utf8),
        "\(reply.text.debugDescription) instead of \(printed.text.debugDescription)")
    guard !reply.text.isEmpty else { return }
    checkBlocks(of: reply.text)
    let pieces = MessageSplitter.split(reply.text, atMost: way.limit)
    for piece in pieces { require(piece.unicodeScalars.count <= way.limit, "\(piece) is longer than \(way.limit)") }
    let parts = pieces.enumerated().map { number, piece in
        var part = reply
        part.text = piece
        if number < pieces.count - 1 { part.extra = [:] }
        return part
    }
    let isWhole = pieces == [reply.text]
    compare("Slack", parts.map { slack($0, way) }, isWhole, with: printed, way)
    compare("XMPP", parts.map { xmpp($0, way) }, isWhole, with: printed.inXML, way)
}

private func compare(
    _ place: String, _ shown: [ShownPiece], _ isWhole: Bool, with printed: PrintedText, _ way: Way
) {
    if isWhole {
        let found = shown[0]
        let isGood =
            found.isFormatted
            ? found.text.isSame(as: printed.lines)
            : found.text.isSame(as: printed.text) || found.withoutFences.isSame(as: printed.lines)
        require(
            isGood,
            "\(place) shows \(found.text.debugDescription) instead of \(printed.text.debugDescription) (\(way))")
    } else {
        let found = shown.map { $0.isFormatted ? $0.text : $0.withoutFences }.joined(separator: "\n").visible
        require(
            found == printed.lines.visible,
            "\(place) shows \(found.debugDescription) in \(shown.count) pieces instead of "
                + "\(printed.lines.visible.debugDescription), which is \(printed.text.debugDescription) (\(way))")
    }
}

/// The options for sending a result.
private struct Way: CustomStringConvertible {
    /// The maximum number of characters per message.
    var limit = 2_968
    var hasButtons: Bool
    var hasColor: Bool
    var isRich: Bool

    init(_ byte: UInt8) {
        hasColor = byte & 1 != 0
        hasButtons = byte & 2 != 0
        isRich = byte & 4 != 0
        if byte & 8 != 0 { limit = 64 + Int(byte >> 4) * 8 }
    }

    var extra: [String: JSONValue]? { hasColor ? ["slack": ["color": "good"]] : nil }

    var description: String {
        "at most \(limit)" + (hasColor ? ", colored" : "") + (hasButtons ? ", with buttons" : "")
            + (isRich ? ", with XHTML" : "")
    }
}

// MARK: The printed text

/// A text without terminal control sequences, removed independently of the product according to ECMA-48.
private struct PrintedText {
    var text: String
    /// The text without fences.
    var lines: String

    init(_ raw: String) {
        let scalars = Self.withBreaks(Array(raw.unicodeScalars))
        var shown = String.UnicodeScalarView()
        var place = 0
        while place < scalars.count {
            if let end = Self.endOfSequence(scalars, place) {
                place = end
                continue
            }
            let scalar = scalars[place]
            let next = place + 1 < scalars.count ? scalars[place + 1] : nil
            switch scalar.value {
            case 0x0D where next == "\n": break
            case 0x0A...0x0D, 0x85: shown.append("\n")
            case 0x09, 0x20...0x7E, 0xA0...: shown.append(scalar)
            default: break
            }
            place += 1
        }
        let isBlank = shown.allSatisfy { $0.properties.isWhitespace || $0.properties.generalCategory == .format }
        text = isBlank ? "" : String(shown)
        lines = text.withoutFences
    }

    /// Replaces `{~}` with a line break, as in hubot-stackstorm.
    private static func withBreaks(_ text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var broken: [Unicode.Scalar] = []
        for scalar in text {
            broken.append(scalar)
            if broken.suffix(3).elementsEqual(["{", "~", "}"]) {
                broken.removeLast(3)
                broken.append("\n")
            }
        }
        return broken
    }

    private static func endOfSequence(_ text: [Unicode.Scalar], _ start: Int) -> Int? {
        func run(_ range: ClosedRange<UInt32>, from place: Int) -> Int {
            var place = place
            while place < text.count, range.contains(text[place].value) { place += 1 }
            return place
        }
        func one(_ range: ClosedRange<UInt32>, at place: Int) -> Int {
            place < text.count && range.contains(text[place].value) ? place + 1 : place
        }
        if text[start].value == 0x9B { return one(0x40...0x7E, at: run(0x20...0x3F, from: start + 1)) }
        guard text[start].value == 0x1B, start + 1 < text.count else { return nil }
        switch text[start + 1] {
        case "[": return one(0x40...0x7E, at: run(0x20...0x3F, from: start + 2))
        case "]", "P", "X", "^", "_":
            var place = start + 2
            while place < text.count, text[place] != "\n", text[place] != "\r" {
                if text[place].value == 0x07 || text[place].value == 0x9C { return place + 1 }
                if text[place].value == 0x1B, place + 1 < text.count, text[place + 1] == "\\" { return place + 2 }
                place += 1
            }
            return start + 2
        case let kind where (0x20...0x2F).contains(kind.value):
            return one(0x30...0x7E, at: run(0x20...0x2F, from: start + 1))
        case let kind where (0x30...0x7E).contains(kind.value): return start + 2
        default: return nil
        }
    }

    /// The text without characters that are illegal in XML (XML 1.0, section 2.2).
    var inXML: PrintedText {
        func legal(_ text: String) -> String {
            String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value != 0xFFFE && $0.value != 0xFFFF }))
        }
        var printed = self
        printed.text = legal(text)
        printed.lines = legal(lines)
        return printed
    }
}

extension String {
    fileprivate var withoutFences: String {
        TextBlock.blocks(of: self).map { block in
            switch block {
            case .lines(let lines), .code(_, let lines): lines.joined(separator: "\n")
            }
        }.joined(separator: "\n")
    }

    /// Returns true if both texts read the same. Blank lines next to a block or at the ends of a message are invisible.
    fileprivate func isSame(as other: String) -> Bool { readLines == other.readLines }

    private var readLines: [String] {
        unicodeScalars.split { $0 == "\n" }.filter { $0.contains { !$0.properties.isWhitespace } }.map { line in
            var line = line
            while line.last.map({ Self.isLineEnd($0) }) == true { line.removeLast() }
            while line.first.map({ Self.isLineEnd($0) }) == true { line.removeFirst() }
            return String(String.UnicodeScalarView(line))
        }
    }

    private static func isLineEnd(_ scalar: Unicode.Scalar) -> Bool { scalar == "\u{2028}" || scalar == "\u{2029}" }

    /// The text without white space and zero-width characters, which may change where a text is split.
    fileprivate var visible: String {
        String(String.UnicodeScalarView(unicodeScalars.filter { !$0.properties.isWhitespace && $0 != "\u{200B}" }))
    }

    /// Compares scalars, because canonically equivalent strings may differ in their encoding.
    fileprivate func isExactly(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

/// Checks that every character of a text except for the fences is in one of its blocks, in the original order.
private func checkBlocks(of text: String) {
    var place = text.startIndex
    func pass(_ part: Substring, isCode: Bool) {
        let gap = text[place..<part.startIndex]
        let isMark = gap.utf8.allSatisfy { "` \t\n".utf8.contains($0) }
        require(isMark, "\(gap.debugDescription) is in no block of \(text.debugDescription)")
        if !isCode {
            let isBreak = gap.isEmpty || gap.utf8.elementsEqual("\n".utf8) || gap.utf8.contains(UInt8(ascii: "`"))
            require(isBreak, "\(gap.debugDescription) is missing in \(text.debugDescription)")
        }
        place = part.endIndex
    }
    for block in TextBlock.blocks(of: text) {
        switch block {
        case .lines(let lines): for line in lines { pass(line, isCode: false) }
        case .code(let language, let lines):
            for line in [language].compactMap({ $0 }) + lines { pass(line, isCode: true) }
        }
    }
    pass(text[text.endIndex...], isCode: true)
}

// MARK: The displayed text

/// A message as a client shows it.
private struct ShownPiece {
    var text: String
    /// True if fences are shown as blocks; otherwise, every character is shown literally.
    var isFormatted: Bool

    var withoutFences: String { text.withoutFences }
}

private func slack(_ reply: Reply, _ way: Way) -> ShownPiece {
    var reply = reply
    if way.hasButtons { reply.buttons = [Button("Again", line: "again")] }
    let arguments = SlackContent.arguments(reply)
    if let attachment = arguments["attachments"]?.array?.first {
        let text = entitiesRead(attachment["text"]?.string ?? "")
        let isMarkup = attachment["mrkdwn_in"]?.array?.contains("text") == true
        return isMarkup
            ? ShownPiece(text: mrkdwnRead(text), isFormatted: true) : ShownPiece(text: text, isFormatted: false)
    }
    let blocks = (arguments["blocks"]?.array ?? []).filter { $0["type"] != "actions" }
    if !blocks.isEmpty {
        let elements = blocks.flatMap { $0["elements"]?.array ?? [] }
        let texts = elements.map { element in
            (element["elements"]?.array ?? []).map { ($0["text"] ?? $0["url"])?.string ?? "" }.joined()
        }
        return ShownPiece(text: texts.joined(separator: "\n"), isFormatted: true)
    }
    require(arguments["mrkdwn"] == false, "Slack would read \(reply.text.debugDescription) as markup")
    return ShownPiece(text: entitiesRead(arguments["text"]?.string ?? ""), isFormatted: false)
}

private func entitiesRead(_ text: String) -> String {
    require(!text.utf8.contains(UInt8(ascii: "<")), "Slack would read a tag in \(text.debugDescription)")
    return ["&lt;": "<", "&gt;": ">", "&amp;": "&"].sorted { $0.key > $1.key }.reduce(text) { text, entity in
        parts(of: text, between: entity.key).joined(separator: entity.value)
    }
}

private func parts(of text: String, between mark: String) -> [String] {
    text.unicodeScalars.split(separator: mark.unicodeScalars, omittingEmptySubsequences: false).map { String($0) }
}

/// Renders Slack's markup: text between three backticks is a block; elsewhere `*`, `_`, `~`, a backtick, and `>` at the
/// start of a line are markup.
private func mrkdwnRead(_ text: String) -> String {
    let marks: Set<Unicode.Scalar> = ["*", "_", "~", "`"]
    return parts(of: text, between: TextBlock.mark).enumerated().map { number, part in
        if !number.isMultiple(of: 2) { return part }
        return part.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let rest = line.first == ">" ? line.dropFirst() : line
            return String(String.UnicodeScalarView(rest.filter { !marks.contains($0) }))
        }.joined(separator: "\n")
    }.joined(separator: "\n")
}

private func xmpp(_ reply: Reply, _ way: Way) -> ShownPiece {
    guard let room = JID("ops@rooms.example") else { fatalError("the JID is invalid") }
    let messages = XMPPContent.messages(
        XMPPContent.shaped(reply), to: room, isRoom: true, thread: nil, xhtml: way.isRich, mostBytes: 8_000)
    var text = ""
    for message in messages {
        let read = stanzas(of: "<s xmlns='\(XMPPNames.client)'>" + message.xml(in: XMPPNames.client))
        guard case .stanza(let stanza)? = read?.last, let body = stanza.child("body") else {
            fatalError("the message cannot be parsed: \(message)")
        }
        text += body.text
        if way.isRich {
            let rich = stanza.child("html")?.child("body")?.child("p").map(richText)
            require(rich == body.text, "XHTML shows \(rich.debugDescription) instead of \(body.text.debugDescription)")
        }
    }
    let isUnstyled = messages.contains { $0.has("unstyled", XMPPNames.styling) }
    return isUnstyled
        ? ShownPiece(text: text, isFormatted: false) : ShownPiece(text: stylingRead(text), isFormatted: true)
}

private func richText(_ paragraph: XMLElement) -> String {
    paragraph.nodes.map { node in
        switch node {
        case .text(let text): text
        case .element: "\n"
        }
    }.joined()
}

/// Renders Message Styling (XEP-0393): a line that starts with three backticks starts a block, and a line of three
/// backticks ends it. A `>` at the start of a line marks a quotation. Markup within lines remains visible.
private func stylingRead(_ text: String) -> String {
    var read: [String.UnicodeScalarView] = []
    var isCode = false
    for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) {
        let isMark = line.starts(with: TextBlock.mark.unicodeScalars)
        if isCode, isMark, line.count == 3 {
            isCode = false
        } else if !isCode, isMark {
            isCode = true
        } else {
            read.append(String.UnicodeScalarView(!isCode && line.first == ">" ? line.dropFirst() : line))
        }
    }
    return read.map { String($0) }.joined(separator: "\n")
}

// MARK: The other notations

/// Checks that any text can be quoted unchanged, and that it notifies no one.
private func checkMarkup(_ raw: String) {
    require(Mrkdwn.unescaped(Mrkdwn.escaped(raw)[...]).isExactly(raw), "\(raw.debugDescription) changes on Slack")
    require(
        SlackText(Mrkdwn.escaped(raw)).typed().isExactly(raw), "\(raw.debugDescription) is read differently from Slack")
    for address in WebLink.ranges(in: raw[...]) {
        require(raw[address].lowercased().hasPrefix("http"), "\(raw[address].debugDescription) is not an address")
    }
    for format in ResultFormat.allCases {
        let reply = ResultWriter(format: format).reply(raw, .result, extra: nil).cleaned
        let sent = SlackContent.text(of: reply)
        require(!callsPeople(sent), "\(raw.debugDescription) notifies users as \(sent.debugDescription)")
        guard format != .mrkdwn else { continue }
        let isTag = ["<!", "<@", "<#"].contains { holds(sent, $0) }
        require(!isTag, "\(raw.debugDescription) contains a tag as \(sent.debugDescription)")
    }
    checkQuoted(raw)
}

/// Checks that a text remains unchanged when it is quoted in Petrel's own messages and cleaned with them.
private func checkQuoted(_ raw: String) {
    // A final CR would form a single line end with the text that follows.
    guard raw.utf8.last != 0x0D else { return }
    let quoted = Reply("x\n" + Markdown.escaped(raw) + "\nx", style: .markdown).cleaned
    let printed = ShownText.clean("x\n" + raw + "\nx")
    let elsewhere = Markdown.readable(quoted.text)
    require(
        elsewhere.isExactly(printed),
        "quoted, \(raw.debugDescription) reads \(elsewhere.debugDescription) without Markdown")
    let slack = Mrkdwn.unescaped(SlackContent.text(of: quoted)[...])
    require(slack.isExactly(printed), "quoted, \(raw.debugDescription) reads \(slack.debugDescription) on Slack")
    let code = Reply("x " + Markdown.code(raw) + " x", style: .markdown).cleaned
    let shown = Mrkdwn.unescaped(SlackContent.text(of: code)[...]).unicodeScalars.filter { $0 != "`" }
    let expected = printed.unicodeScalars.map { $0 == "`" ? "ˋ" : $0 }
    require(
        String(String.UnicodeScalarView(shown)).visible.isExactly(String(String.UnicodeScalarView(expected)).visible),
        "as code, \(raw.debugDescription) reads \(String(String.UnicodeScalarView(shown)).debugDescription)")
}

/// Returns true if Slack would notify all members of a channel or a group.
private func callsPeople(_ sent: String) -> Bool {
    parts(of: sent, between: "<!").dropFirst().contains { rest in
        ["here", "channel", "everyone", "group", "subteam"].contains { name in
            guard rest.hasPrefix(name), let next = rest.dropFirst(name.count).first else { return false }
            return [">", "|", "^"].contains(next)
        }
    }
}
