import NIOCore
import PetrelKit
import XMLStream

/// The opening and closing tags of a stream (RFC 6120, section 4.7).
enum StreamHeader {
    /// Returns the opening tag.
    /// - Parameter sender: the bot's JID; nil unless the connection is encrypted (RFC 6120, section 4.7.1).
    static func text(to domain: String, from sender: JID? = nil) -> String {
        let from = sender.map { " from='\(XMLElement.escaped($0.bare.description))'" } ?? ""
        return "<?xml version='1.0'?><stream:stream to='\(XMLElement.escaped(domain))'\(from) version='1.0' "
            + "xml:lang='en' xmlns='\(XMPPNames.client)' xmlns:stream='\(XMPPNames.streams)'>"
    }

    static let end = "</stream:stream>"
}

/// A stream error (RFC 6120, section 4.9).
struct StreamFailure: Error, Equatable, CustomStringConvertible {
    /// The defined condition (RFC 6120, section 4.9.3).
    var condition: String
    var text: String?
    /// The server to which the bot is redirected (RFC 6120, section 4.9.3.19), as `host` or `host:port`.
    var otherHost: String?

    /// Reads a stream error. Returns nil for any other element.
    init?(_ stanza: XMLElement) {
        guard stanza.name == "error", stanza.namespace == XMPPNames.streams else { return nil }
        let children = stanza.children.filter { $0.namespace == XMPPNames.streamErrors }
        condition = children.first { $0.name != "text" }?.name ?? "undefined-condition"
        text = children.first { $0.name == "text" }?.text
        otherHost = children.first { $0.name == "see-other-host" }?.text
    }

    var description: String { "the server closed the stream: \(condition)\(text.map { " (\($0))" } ?? "")" }
}

/// Reads stanzas from a connection.
struct StanzaReader: ~Copyable {
    private var chunks: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private var parser = StanzaParser()
    private var items: ArraySlice<StanzaParser.Item> = []
    private let heard: @Sendable () -> Void

    /// - Parameter heard: called for every chunk that is received.
    init(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, heard: @escaping @Sendable () -> Void = {}) {
        chunks = inbound.makeAsyncIterator()
        self.heard = heard
    }

    /// Prepares for a new stream on the same connection.
    mutating func restart() {
        parser = StanzaParser()
        items = []
    }

    /// Returns the next item, or nil at the end of the connection. Throws ``StanzaParser/Failure`` for invalid XML.
    mutating func next() async throws -> StanzaParser.Item? {
        while items.isEmpty {
            guard let chunk = try await chunks.next(isolation: #isolation) else { return nil }
            heard()
            items = try parser.feed(chunk.readableBytesView)[...]
        }
        return items.popFirst()
    }

    /// Returns the next stanza. Throws ``StreamFailure`` for a stream error, and ``BackendFailure`` if the stream or
    /// the connection is closed.
    mutating func stanza() async throws -> XMLElement {
        while let item = try await next() {
            switch item {
            case .opened: continue
            case .stanza(let stanza):
                if let failure = StreamFailure(stanza) { throw failure }
                return stanza
            case .closed: throw BackendFailure("the server closed the stream")
            }
        }
        throw BackendFailure("the server closed the connection")
    }
}
