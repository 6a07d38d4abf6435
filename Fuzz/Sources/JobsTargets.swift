import JobEngine
import PetrelKit

@testable import JobsModule

/// Checks that a line is split into arguments that can be written as a line again, that no secret remains, that
/// the fields of requests are read as they were written, and that templates, options and answers are read without an
/// error of the program.
func fuzzJobs(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    checkArguments(text)
    checkFields(bytes, text)
    checkOutput(bytes)
    let template = ReplyTemplate(text)
    // Each scalar of `1...999999` costs a step.
    if !text.utf8.contains("...".utf8) { _ = template.problem() }
    _ = try? Flags(text, valued: ["limit", "status"], bare: ["all"]).limit()
    _ = AnswerDocument(bytes)
}

private func checkArguments(_ text: String) {
    let secrets = SecretArguments(positions: [1], names: ["-p", "token"])
    guard let line = try? ArgumentLine(text) else {
        return require(secrets.masked(text).utf8.elementsEqual(SecretArguments.mask.utf8), "\(text) is not masked")
    }
    let written = line.texts.map { $0.isEmpty ? "''" : escaped($0) }.joined(separator: " ")
    let again = (try? ArgumentLine(written))?.texts
    require(
        again?.elementsEqual(line.texts) { $0.unicodeScalars.elementsEqual($1.unicodeScalars) } == true,
        "\(text) becomes \(line.texts), and then \(again ?? [])")
    let masked = secrets.masked(line.texts)
    require(masked.count == line.texts.count, "\(text) has \(masked.count) arguments when it is masked")
    require(masked.first.map { $0 == SecretArguments.mask } ?? true, "\(text) is not masked: \(masked)")
    for (name, value) in zip(line.texts, masked.dropFirst()) where ["-p", "token"].contains(name) {
        require(value == SecretArguments.mask, "\(text) is not masked: \(masked)")
    }
}

private func checkFields(_ bytes: [UInt8], _ text: String) {
    let boundary = bytes.prefix(8).map { String($0 % 10) }.joined()
    let multipart = "multipart/form-data; boundary=\"\(boundary)\""
    for type in ["application/x-www-form-urlencoded", "application/json", multipart] {
        _ = try? FormBody.value("message", query: text, contentType: type, body: bytes)
    }
    let encoded = text.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    let form = try? FormBody.value(
        "message", query: "", contentType: "application/x-www-form-urlencoded",
        body: Array("other=%20&message=\(encoded)&message=x".utf8))
    require(form?.utf8.elementsEqual(text.utf8) == true, "the field \(text) is read as \(form ?? "nothing")")
    guard !boundary.isEmpty, !text.utf8.contains("--\(boundary)".utf8) else { return }
    let body = """
        --\(boundary)\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--\(boundary)\r
        Content-Disposition: form-data; name="message"\r\n\r\n\(text)\r\n--\(boundary)--\r\n
        """
    let part = try? FormBody.value("message", query: "", contentType: multipart, body: Array(body.utf8))
    require(part?.utf8.elementsEqual(text.utf8) == true, "the part \(text) is read as \(part ?? "nothing")")
}

/// Checks that the last lines do not depend on how the bytes are split, and that an excerpt counts every byte.
private func checkOutput(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let size = Int(first % 7) + 1
    var whole = RecentLines(lines: 3, longest: 10)
    whole.add(bytes)
    var pieces = RecentLines(lines: 3, longest: 10)
    for start in stride(from: 0, to: bytes.count, by: size) {
        pieces.add(Array(bytes[start..<min(start + size, bytes.count)]))
    }
    require(
        whole.text.utf8.elementsEqual(pieces.text.utf8) && whole.lineFeeds == pieces.lineFeeds,
        "pieces of \(size): \(pieces.text) instead of \(whole.text)")
    var text = TerminalText(at: 2)
    text.add(bytes)
    var split = TerminalText(at: 2)
    for start in stride(from: 0, to: bytes.count, by: size) {
        split.add(bytes[start..<min(start + size, bytes.count)])
    }
    require(text.bytes == split.bytes && text.next == split.next, "pieces of \(size): \(split) instead of \(text)")
    let extent = LogExtent(start: Int64(first % 3), end: text.next + Int64(first % 2) * 5)
    for (isTail, lines) in [(true, 3), (false, 3), (true, .max), (false, .max)] {
        let excerpt = OutputExcerpt(text, of: extent, limit: Int(first) + 1, lines: lines, isTail: isTail)
        let missing = excerpt.removed + excerpt.before + excerpt.after
        require(
            excerpt.before >= 0 && excerpt.after >= extent.end - text.next && missing <= extent.end,
            "\(excerpt) counts bytes that do not exist")
    }
}

/// Returns a text with a backslash before each scalar.
private func escaped(_ text: String) -> String {
    var escaped = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        escaped.append("\\")
        escaped.append(scalar)
    }
    return String(escaped)
}
