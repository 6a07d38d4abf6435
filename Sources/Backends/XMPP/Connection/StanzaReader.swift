import NIOCore
import PetrelKit

/// The beginning of a stream (RFC 6120, section 4.7).
enum StreamHeader {
    /// - Parameter sender: only where it is encrypted (RFC 6120, section 4.7.1).
    static func text(to domain: String, from sender: JID? = nil) -> String {
        let from = sender.map { " from='\(XMLElement.escaped($0.bare.description))'" } ?? ""
        return "<?xml version='1.0'?><stream:stream to='\(XMLElement.escaped(domain))'\(from) version='1.0' "
            + "xml:lang='en' xmlns='\(XMPPNames.client)' xmlns:stream='\(XMPPNames.streams)'>"
    }

    static let end = "</stream:stream>"
}

/// What the server says when it ends a stream (RFC 6120, section 4.9).
struct StreamFailure: Error, Equatable, CustomStringConvertible {
    /// RFC 6120, section 4.9.3.
    var condition: String
    var text: String?
    /// Another server that is to be used (RFC 6120, section 4.9.3.19), as `host` or `host:port`.
    var otherHost: String?

    /// Nil for any other stanza.
    init?(_ stanza: XMLElement) {
        guard stanza.name == "error", stanza.namespace == XMPPNames.streams else { return nil }
        let children = stanza.children.filter { $0.namespace == XMPPNames.streamErrors }
        condition = children.first { $0.name != "text" }?.name ?? "undefined-condition"
        text = children.first { $0.name == "text" }?.text
        otherHost = children.first { $0.name == "see-other-host" }?.text
    }

    var description: String { "the server ended the stream: \(condition)\(text.map { " (\($0))" } ?? "")" }
}

/// Reads stanza by stanza from a connection.
struct StanzaReader: ~Copyable {
    private var chunks: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private var parser = StanzaParser()
    private var items: ArraySlice<StanzaParser.Item> = []
    private let heard: @Sendable () -> Void

    /// - Parameter heard: called whenever something came.
    init(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, heard: @escaping @Sendable () -> Void = {}) {
        chunks = inbound.makeAsyncIterator()
        self.heard = heard
    }

    /// Another stream begins on the same connection.
    mutating func restart() {
        parser = StanzaParser()
        items = []
    }

    /// Nil at the end. Throws ``StanzaParser/Failure`` for what has no place in a stream.
    mutating func next() async throws -> StanzaParser.Item? {
        while items.isEmpty {
            guard let chunk = try await chunks.next(isolation: #isolation) else { return nil }
            heard()
            items = try parser.feed(chunk.readableBytesView)[...]
        }
        return items.popFirst()
    }

    /// The next stanza. Throws ``StreamFailure`` where the server ends the stream.
    mutating func stanza() async throws -> XMLElement {
        while let item = try await next() {
            switch item {
            case .opened: continue
            case .stanza(let stanza):
                if let failure = StreamFailure(stanza) { throw failure }
                return stanza
            case .closed: throw BackendFailure("The server closed the stream.")
            }
        }
        throw BackendFailure("The server ended the connection.")
    }
}
