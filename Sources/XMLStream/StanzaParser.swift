import CExpat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// An incremental parser for streams (RFC 6120, section 4). Fails on features that RFC 6120, section 11.1, prohibits:
/// document types, custom entities, comments and processing instructions.
///
/// A stanza that exceeds a limit is reduced to its name and attributes and does not fail the stream. Otherwise a remote
/// user could break the connection repeatedly with one message that the server stores for the bot. Only a stanza of
/// more than `mostBytes` fails the stream.
package struct StanzaParser: ~Copyable {
    /// A parsed part of a stream.
    package enum Item: Sendable, Equatable {
        /// The opening tag of the stream.
        case opened(XMLElement)
        case stanza(XMLElement)
        /// The closing tag of the stream.
        case closed
    }

    /// The limits for one stanza.
    package struct Limits: Sendable {
        /// The maximum size, in bytes. The content of a larger stanza is dropped.
        package var bytes = 1 << 20
        /// The size, in bytes, beyond which a stanza fails the stream.
        package var mostBytes = 2 << 20
        /// The maximum nesting depth of elements.
        package var depth = 64
        /// The maximum number of attributes of an element.
        package var attributes = 64
        /// The depth below the root at which an element is a stanza. An element above it is a stanza if it contains no
        /// elements; otherwise its stanzas are those inside it.
        package var level = 1

        package init() {}
    }

    /// A fatal error. `condition` is the name of the stream error to send (RFC 6120, section 4.9.3).
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package var condition: String
        package var reason: String

        package init(condition: String, reason: String) {
            self.condition = condition
            self.reason = reason
        }

        package var description: String { reason }
    }

    /// The Expat parser; nil if it could not be allocated.
    private let parser: XML_Parser?
    private let reader: Reader
    private let limits: Limits
    private var fed = 0

    package init(_ limits: Limits = Limits()) {
        self.limits = limits
        reader = Reader(limits)
        // The separator between namespace and name: a space cannot occur in a name.
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

    /// Parses bytes and returns the items that they complete.
    package mutating func feed(_ bytes: some Collection<UInt8>) throws(Failure) -> [Item] {
        guard let parser else {
            throw Failure(condition: "resource-constraint", reason: "cannot allocate an XML parser")
        }
        // Feeds Expat in small pieces, so that the size limits take effect early.
        var rest = Array(bytes)[...]
        // Rejects bytes by which Expat detects UTF-16; streams are UTF-8 (RFC 6120, section 11.6).
        if fed < 2, rest.prefix(2 - fed).contains(where: { [0x00, 0xFE, 0xFF].contains($0) }) {
            throw Failure(condition: "unsupported-encoding", reason: "not UTF-8")
        }
        while !rest.isEmpty {
            let piece = rest.prefix(Self.chunkSize)
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
                    reason: XML_ErrorString(error).map { String(cString: $0) } ?? "not well-formed")
            }
            let size = fed - reader.stanzaStart
            if size > limits.bytes { reader.dropContent() }
            guard size <= limits.mostBytes else {
                throw Failure(condition: "policy-violation", reason: "a stanza exceeds \(limits.mostBytes) bytes")
            }
        }
        return reader.take()
    }

    private static let chunkSize = 16_384
}

/// The state behind Expat's callbacks.
private final class Reader {
    private let limits: StanzaParser.Limits
    var parser: XML_Parser?
    var failure: StanzaParser.Failure?
    /// The byte offset at which the current stanza starts, or at which the last one ended.
    private(set) var stanzaStart = 0
    private var items: [StanzaParser.Item] = []
    /// The open elements of the current stanza, outermost first.
    private var open: [XMLElement] = []
    /// The number of open elements between the root and the current stanza.
    private var above = 0
    /// The number of open child elements in a stanza whose content is dropped; nil in other stanzas.
    private var droppedDepth: Int?
    private var isOpened = false
    /// The namespace of the last element that had one.
    private var namespace = ""
    /// The pending text of the innermost open element, which Expat reports in pieces.
    private var pending = ""

    init(_ limits: StanzaParser.Limits) { self.limits = limits }

    /// Returns the reader that was registered as user data.
    static func of(_ data: UnsafeMutableRawPointer?) -> Reader? {
        data.map { Unmanaged<Reader>.fromOpaque($0).takeUnretainedValue() }
    }

    func take() -> [StanzaParser.Item] {
        defer { items = [] }
        return items
    }

    /// Drops the content of the current stanza, except its name and attributes.
    func dropContent() {
        guard droppedDepth == nil, let stanza = open.first else { return }
        droppedDepth = open.count - 1
        var shell = stanza
        shell.nodes = []
        open = [shell]
        pending = ""
    }

    func refuse(_ what: String) { fail("restricted-xml", "\(what) is not allowed in a stream") }

    private func fail(_ condition: String, _ reason: String) {
        guard failure == nil else { return }
        failure = StanzaParser.Failure(condition: condition, reason: reason)
        XML_StopParser(parser, XML_Bool(XML_FALSE))
    }

    func start(_ name: UnsafePointer<CChar>?, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>?) {
        guard failure == nil, let name, var attribute = attributes else { return }
        if open.count >= limits.depth { dropContent() }
        if let depth = droppedDepth {
            droppedDepth = depth + 1
            return
        }
        var element = named(name)
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
        if open.count == 1, above + 1 < limits.level {
            above += 1
            open = []
            pending = ""
        }
        if open.isEmpty { stanzaStart = position } else { flush() }
        open.append(element)
        if isTooWide { dropContent() }
    }

    func end() {
        guard failure == nil else { return }
        if let depth = droppedDepth, depth > 0 {
            droppedDepth = depth - 1
            return
        }
        droppedDepth = nil
        if !open.isEmpty { flush() }
        guard let element = open.popLast() else {
            if above == 0 { return items.append(.closed) }
            above -= 1
            stanzaStart = position
            return
        }
        if open.isEmpty {
            items.append(.stanza(element))
            stanzaStart = position
        } else {
            open[open.count - 1].nodes.append(.element(element))
        }
    }

    func text(_ text: UnsafeBufferPointer<CChar>) {
        // Whitespace between stanzas is a keep-alive (RFC 6120, section 4.6.1).
        guard failure == nil, !open.isEmpty else {
            stanzaStart = position
            return
        }
        guard droppedDepth == nil else { return }
        pending += String(decoding: UnsafeRawBufferPointer(text), as: UTF8.self)
    }

    private func flush() {
        guard !pending.isEmpty else { return }
        open[open.count - 1].nodes.append(.text(pending))
        pending = ""
    }

    private var position: Int { Int(XML_GetCurrentByteIndex(parser)) }

    /// Returns an element for a name as reported by Expat: the namespace, a space, and the local name.
    private func named(_ name: UnsafePointer<CChar>) -> XMLElement {
        let bytes = UnsafeRawBufferPointer(start: name, count: strlen(name))
        guard let space = bytes.lastIndex(of: 0x20) else { return XMLElement(String(cString: name)) }
        // Most elements of an answer have the same namespace.
        let found = bytes[..<space]
        if !namespace.utf8.elementsEqual(found) { namespace = String(decoding: found, as: UTF8.self) }
        return XMLElement(String(cString: name + space + 1), namespace)
    }
}
