import PetrelSupport

/// The fields of a request: of its query, and of a body that is urlencoded, multipart or JSON.
enum FormBody {
    /// Returns the value of a field. Returns nil if the form does not contain the field.
    static func value(_ name: String, query: String, contentType: String, body: [UInt8]) throws(Problem) -> String? {
        if let value = try bodyValue(name, contentType, body) { return value }
        return try urlencoded(name, Array(query.utf8))
    }

    /// The error of a body that cannot be read.
    struct Problem: Error, CustomStringConvertible {
        var description: String

        init(_ description: String) { self.description = description }
    }

    private static func bodyValue(_ name: String, _ contentType: String, _ body: [UInt8]) throws(Problem) -> String? {
        let parts = contentType.unicodeScalars.split(separator: ";").map { String(String.UnicodeScalarView($0)) }
        let type = parts.first?.words.first ?? ""
        if type.isKeyword("application/json") {
            guard !body.isEmpty else { return nil }
            let value: JSONValue
            do {
                value = try JSONValue.parse(body)
            } catch {
                throw Problem("the body cannot be read: \(JSONValue.reason(of: error, in: body))")
            }
            guard let object = value.object else { throw Problem("the body is not a JSON object") }
            guard let field = object[name], field != .null else { return nil }
            guard let text = field.string else { throw Problem("\(name) must be a string") }
            return text
        }
        if type.isKeyword("multipart/form-data") {
            guard let boundary = boundary(parts), !boundary.isEmpty else { throw Problem("the boundary is missing") }
            return try multipart(name, Array(boundary.utf8), body)
        }
        if body.isEmpty { return nil }
        guard type.isKeyword("application/x-www-form-urlencoded") else {
            throw Problem("the body must be a form or a JSON object; its content-type is neither")
        }
        // A text without a field, as curl -d sends it, must not be ignored.
        guard body.contains(UInt8(ascii: "=")) else { throw Problem("the form has no field; write \(name)=…") }
        return try urlencoded(name, body)
    }

    private static func boundary(_ parts: [String]) -> String? {
        for part in parts.dropFirst() {
            let pair = part.unicodeScalars.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, String(String.UnicodeScalarView(pair[0])).words.first?.isKeyword("boundary") == true
            else { continue }
            let value = String(String.UnicodeScalarView(pair[1])).words.joined(separator: " ").unicodeScalars
            if value.first == "\"", value.last == "\"", value.count > 1 { return String(value.dropFirst().dropLast()) }
            return String(value)
        }
        return nil
    }

    /// Returns the value of a field of `application/x-www-form-urlencoded` (https://url.spec.whatwg.org/).
    static func urlencoded(_ name: String, _ bytes: [UInt8]) throws(Problem) -> String? {
        for pair in bytes.split(separator: UInt8(ascii: "&")) {
            let end = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard try decoded(pair[..<end]).utf8.elementsEqual(name.utf8) else { continue }
            return try decoded(pair[end...].dropFirst())
        }
        return nil
    }

    private static func decoded(_ bytes: ArraySlice<UInt8>) throws(Problem) -> String {
        var decoded: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): decoded.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = rest.first.flatMap(digit), let low = rest.dropFirst().first.flatMap(digit) else {
                    throw Problem("a % is not followed by two hexadecimal digits")
                }
                decoded.append(high << 4 | low)
                rest = rest.dropFirst(2)
            default: decoded.append(byte)
            }
        }
        guard let text = String(validating: decoded, as: UTF8.self) else { throw Problem("a field is not UTF-8") }
        return text
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    /// Returns the value of a field of `multipart/form-data` (RFC 7578).
    private static func multipart(_ name: String, _ boundary: [UInt8], _ body: [UInt8]) throws(Problem) -> String? {
        let mark = Array("--".utf8) + boundary
        // The first boundary may be at the very beginning.
        let bytes = Array("\r\n".utf8) + body
        var parts = split(bytes, by: Array("\r\n".utf8) + mark)
        guard parts.count >= 2 else { throw Problem("the body contains no part") }
        parts.removeFirst()
        for part in parts {
            // The last boundary has two hyphens behind it.
            if part.starts(with: Array("--".utf8)) { break }
            guard let (head, content) = headAndContent(part), isField(name, head) else { continue }
            guard let text = String(validating: content, as: UTF8.self) else { throw Problem("a field is not UTF-8") }
            return text
        }
        return nil
    }

    private static func headAndContent(_ part: ArraySlice<UInt8>) -> (String, ArraySlice<UInt8>)? {
        let gap = Array("\r\n\r\n".utf8)
        let halves = split(Array(part), by: gap)
        guard halves.count >= 2, let head = halves.first else { return nil }
        return (String(decoding: head, as: UTF8.self), part.dropFirst(head.count + gap.count))
    }

    private static func isField(_ name: String, _ head: String) -> Bool {
        head[...].textLines.contains { line in
            let line = String(line)
            guard line.utf8.count > 20, String(line.unicodeScalars.prefix(20)).isKeyword("content-disposition:") else {
                return false
            }
            return parameter("name", of: line)?.utf8.elementsEqual(name.utf8) == true
        }
    }

    /// Returns the value of a parameter, such as `name` in `form-data; name="message"`; nil if it is missing.
    private static func parameter(_ name: String, of line: String) -> String? {
        var parameters = [String.UnicodeScalarView()]
        var isQuoted = false
        var isEscaped = false
        for scalar in line.unicodeScalars {
            if scalar == ";", !isQuoted {
                parameters.append(String.UnicodeScalarView())
                continue
            }
            if scalar == "\"", !isEscaped { isQuoted.toggle() }
            isEscaped = scalar == "\\" && isQuoted && !isEscaped
            parameters[parameters.count - 1].append(scalar)
        }
        for parameter in parameters.dropFirst() {
            let pair = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, String(pair[0]).words.joined().isKeyword(name) else { continue }
            let value = String(pair[1]).words.joined(separator: " ").unicodeScalars
            guard value.first == "\"", value.last == "\"", value.count > 1 else { return String(value) }
            return String(value.dropFirst().dropLast())
        }
        return nil
    }

    /// Splits bytes at each occurrence of a mark.
    private static func split(_ bytes: [UInt8], by mark: [UInt8]) -> [ArraySlice<UInt8>] {
        guard let first = mark.first else { return [bytes[...]] }
        var parts: [ArraySlice<UInt8>] = []
        var (start, index) = (0, 0)
        while index + mark.count <= bytes.count {
            if bytes[index] == first, bytes[index..<(index + mark.count)].elementsEqual(mark) {
                parts.append(bytes[start..<index])
                index += mark.count
                start = index
            } else {
                index += 1
            }
        }
        parts.append(bytes[start...])
        return parts
    }
}
