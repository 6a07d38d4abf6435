import CExpat

/// Reads a stream (RFC 6120, section 4) piece by piece. What RFC 6120, section 11.1, keeps out of streams ends it:
/// document types, entities of one's own, comments, processing instructions.
///
/// A stanza that is too deep, too wide or too large is read past: whoever writes it cannot end a stream with it, again and
/// again where a server keeps it for the bot. Only what is far larger ends the stream.
struct StanzaParser: ~Copyable {
    enum Item: Sendable, Equatable {
        /// The beginning of the stream, without what it holds.
        case opened(XMLElement)
        case stanza(XMLElement)
        case closed
    }

    struct Limits: Sendable {
        /// Bytes of one stanza.
        var bytes = 1 << 20
        /// Bytes of one stanza that are not even read past.
        var mostBytes = 2 << 20
        /// Elements within elements.
        var depth = 64
        /// Attributes of one element.
        var attributes = 64

        init() {}
    }

    /// Why a stream cannot be read on; the name is that of the stream error that tells the other side.
    struct Failure: Error, Equatable, CustomStringConvertible {
        var condition: String
        var reason: String

        var description: String { reason }
    }

    /// Nil where there was no memory for it.
    private let parser: XML_Parser?
    private let reader: Reader
    private let limits: Limits
    private var fed = 0

    init(_ limits: Limits = Limits()) {
        self.limits = limits
        reader = Reader(limits)
        // Between a namespace and a name, which cannot hold a space.
        parser = XML_ParserCreateNS("UTF-8", 0x20)
        guard let parser else { return }
        reader.parser = parser
        XML_SetUserData(parser, Unmanaged.passUnretained(reader).toOpaque())
        XML_SetElementHandler(
            parser,
            { data, name, attributes in
                Reader.of(data)?.start(name, attributes)
            }, { data, _ in Reader.of(data)?.end() })
        XML_SetCharacterDataHandler(parser) { data, text, count in
            Reader.of(data)?.text(UnsafeBufferPointer(start: text, count: Int(count)))
        }
        XML_SetStartDoctypeDeclHandler(parser) { data, _, _, _, _ in Reader.of(data)?.refuse("a document type") }
        XML_SetCommentHandler(parser) { data, _ in Reader.of(data)?.refuse("a comment") }
        XML_SetProcessingInstructionHandler(parser) { data, _, _ in
            Reader.of(data)?.refuse("a processing instruction")
        }
    }

    deinit { if let parser { XML_ParserFree(parser) } }

    /// What these bytes complete.
    mutating func feed(_ bytes: some Collection<UInt8>) throws(Failure) -> [Item] {
        guard let parser else {
            throw Failure(condition: "resource-constraint", reason: "there is no memory for an XML parser")
        }
        // Piece by piece, so that what is too large is known soon.
        var rest = Array(bytes)[...]
        // Expat would take UTF-16 by these; streams are UTF-8 (RFC 6120, section 11.6).
        if fed < 2, rest.prefix(2 - fed).contains(where: { [0x00, 0xFE, 0xFF].contains($0) }) {
            throw Failure(condition: "unsupported-encoding", reason: "it is not UTF-8")
        }
        while !rest.isEmpty {
            let piece = rest.prefix(Self.piece)
            rest = rest.dropFirst(piece.count)
            fed += piece.count
            let status = piece.withUnsafeBytes {
                XML_Parse(parser, $0.assumingMemoryBound(to: CChar.self).baseAddress, Int32($0.count), 0)
            }
            if let failure = reader.failure { throw failure }
            guard status == XML_STATUS_OK else {
                let error = XML_GetErrorCode(parser)
                throw Failure(
                    condition: "not-well-formed",
                    reason: XML_ErrorString(error).map { String(cString: $0) } ?? "it is no XML")
            }
            let size = fed - reader.stanzaStart
            if size > limits.bytes { reader.empty() }
            guard size <= limits.mostBytes else {
                throw Failure(condition: "policy-violation", reason: "a stanza has more than \(limits.mostBytes) bytes")
            }
        }
        return reader.take()
    }

    private static let piece = 16_384
}

/// What the parser calls.
private final class Reader {
    private let limits: StanzaParser.Limits
    var parser: XML_Parser?
    var failure: StanzaParser.Failure?
    /// Where the stanza at hand begins, or the last one ended, in bytes.
    private(set) var stanzaStart = 0
    private var items: [StanzaParser.Item] = []
    /// The elements that are open within the stream.
    private var open: [XMLElement] = []
    /// Elements that are open in a stanza of which nothing is kept but its name and its attributes; nil in others.
    private var passing: Int?
    private var isOpened = false
    /// Text of the innermost of them, which comes in pieces.
    private var pending = ""

    init(_ limits: StanzaParser.Limits) { self.limits = limits }

    /// The one that a parser was given.
    static func of(_ data: UnsafeMutableRawPointer?) -> Reader? {
        data.map { Unmanaged<Reader>.fromOpaque($0).takeUnretainedValue() }
    }

    func take() -> [StanzaParser.Item] {
        defer { items = [] }
        return items
    }

    /// Of the stanza at hand nothing is kept but its name and its attributes.
    func empty() {
        guard passing == nil, let stanza = open.first else { return }
        passing = open.count - 1
        var shell = stanza
        shell.nodes = []
        open = [shell]
        pending = ""
    }

    func refuse(_ what: String) { fail("restricted-xml", "\(what) has no place in a stream") }

    private func fail(_ condition: String, _ reason: String) {
        guard failure == nil else { return }
        failure = StanzaParser.Failure(condition: condition, reason: reason)
        XML_StopParser(parser, XML_Bool(XML_FALSE))
    }

    func start(_ name: UnsafePointer<CChar>?, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?) {
        guard failure == nil, let name, var attribute = attributes else { return }
        if open.count >= limits.depth { empty() }
        if let depth = passing {
            passing = depth + 1
            return
        }
        var element = Self.named(String(cString: name))
        var isTooWide = false
        while let key = attribute[0], let value = attribute[1], !isTooWide {
            element.attributes[String(cString: key)] = String(cString: value)
            attribute += 2
            isTooWide = element.attributes.count >= limits.attributes && attribute[0] != nil
        }
        guard isOpened else {
            isOpened = true
            items.append(.opened(element))
            stanzaStart = position
            return
        }
        if open.isEmpty { stanzaStart = position } else { flush() }
        open.append(element)
        if isTooWide { empty() }
    }

    func end() {
        guard failure == nil else { return }
        if let depth = passing, depth > 0 {
            passing = depth - 1
            return
        }
        passing = nil
        if !open.isEmpty { flush() }
        guard let element = open.popLast() else { return items.append(.closed) }
        if open.isEmpty {
            items.append(.stanza(element))
            stanzaStart = position
        } else {
            open[open.count - 1].nodes.append(.element(element))
        }
    }

    func text(_ text: UnsafeBufferPointer<CChar>) {
        // Between stanzas there is white space that keeps a connection alive.
        guard failure == nil, !open.isEmpty else {
            stanzaStart = position
            return
        }
        guard passing == nil else { return }
        pending += String(decoding: UnsafeRawBufferPointer(text), as: UTF8.self)
    }

    private func flush() {
        guard !pending.isEmpty else { return }
        open[open.count - 1].nodes.append(.text(pending))
        pending = ""
    }

    private var position: Int { Int(XML_GetCurrentByteIndex(parser)) }

    /// A name as the parser gives it: with its namespace in front.
    private static func named(_ name: String) -> XMLElement {
        guard let space = name.lastIndex(of: " ") else { return XMLElement(name) }
        return XMLElement(String(name[name.index(after: space)...]), String(name[..<space]))
    }
}
