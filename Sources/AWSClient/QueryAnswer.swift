import AsyncHTTPClient
import NIOCore
import XMLStream

/// The limits and the parsing of an answer with XML.
struct QueryAnswer: ~Copyable {
    /// The maximum size of an answer, in bytes.
    static let mostBytes = 8 << 20

    /// The status of the answer.
    let status: Int
    /// The error code and the message of AWS; nil if the answer does not contain them.
    private(set) var awsCode: String?
    private(set) var message: String?
    /// The name of the root element; nil before its start tag was read.
    private(set) var root: String?
    private(set) var isComplete = false
    private var parser: StanzaParser
    private var size = 0

    init(status: Int, level: Int) {
        self.status = status
        var limits = StanzaParser.Limits()
        limits.bytes = Self.mostBytes
        limits.mostBytes = Self.mostBytes
        limits.level = level
        parser = StanzaParser(limits)
    }

    /// Parses a part of the body, and returns the elements that it completes.
    mutating func feed(_ buffer: ByteBuffer) throws -> [XMLElement] {
        size += buffer.readableBytes
        guard size <= Self.mostBytes else {
            throw AWSError(.tooLarge, "the answer exceeds \(Self.mostBytes >> 20) MB")
        }
        var elements: [XMLElement] = []
        for item in try parser.feed(buffer.readableBytesView) {
            switch item {
            case .opened(let element): root = element.name
            case .stanza(let element):
                if status == 200 { elements.append(element) } else { noteError(in: element) }
            case .closed: isComplete = true
            }
        }
        return elements
    }

    /// Stores the first `Code` and the first `Message`. Services and versions nest them differently.
    private mutating func noteError(in element: XMLElement) {
        switch element.name {
        case "Code" where awsCode == nil: awsCode = element.text.oneLine(80)
        case "Message" where message == nil: message = element.text.oneLine(300)
        default: for child in element.children { noteError(in: child) }
        }
    }
}
