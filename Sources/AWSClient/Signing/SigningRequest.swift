/// The parts of an HTTP request that Signature Version 4 covers.
package struct SigningRequest: Sendable {
    /// The method, such as `POST`.
    package var method: String
    /// The path as it is sent, such as `/`.
    package var path: String
    /// The names and values of the query, without percent-encoding.
    package var query: [(name: String, value: String)]
    /// The headers to sign, with `Host`. Names are compared without case; values of one name keep their order.
    package var headers: [(name: String, value: String)]
    /// The body.
    package var body: [UInt8]

    /// Creates a request.
    package init(
        method: String, path: String = "/", query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)], body: [UInt8] = []
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }
}

extension SigningRequest {
    /// The path without `.`, `..` and repeated slashes, percent-encoded.
    var canonicalPath: String {
        var segments: [Substring.UTF8View] = []
        for segment in path[...].utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true) {
            if segment.elementsEqual("..".utf8) {
                _ = segments.popLast()
            } else if !segment.elementsEqual(".".utf8) {
                segments.append(segment)
            }
        }
        guard !segments.isEmpty else { return "/" }
        let isFolder = ["/", "/.", "/.."].contains { Array(path.utf8).suffix($0.utf8.count).elementsEqual($0.utf8) }
        return "/" + segments.map { PercentEncoding.encoded($0) }.joined(separator: "/") + (isFolder ? "/" : "")
    }

    /// The query, percent-encoded and sorted by the encoded names and values.
    var canonicalQuery: String {
        query.map { (PercentEncoding.encoded($0.name.utf8), PercentEncoding.encoded($0.value.utf8)) }
            .sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map { "\($0)=\($1)" }.joined(separator: "&")
    }

    /// The headers by name in lower case, sorted, with runs of white space as single spaces.
    var canonicalHeaders: [(name: String, value: String)] {
        var values: [String: [String]] = [:]
        for header in headers { values[header.name.lowercased(), default: []].append(Self.collapsed(header.value)) }
        return values.sorted { $0.key < $1.key }.map { ($0.key, $0.value.joined(separator: ",")) }
    }

    private static func collapsed(_ value: String) -> String {
        value.unicodeScalars.split { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" }
            .map { String(String.UnicodeScalarView($0)) }.joined(separator: " ")
    }
}

/// The percent-encoding of AWS: every byte outside `A-Z a-z 0-9 - . _ ~` (RFC 3986, section 2.3).
enum PercentEncoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    static func encoded(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: text.append(byte)
            default: text += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
