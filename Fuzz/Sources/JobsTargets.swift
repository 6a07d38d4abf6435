import JobEngine

@testable import JobsModule

/// Checks that a line is split into arguments that can be written as a line again, that no secret remains, and that
/// templates and request bodies are read without an error of the program.
func fuzzJobs(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let line = try? ArgumentLine(text) {
        let written = line.texts.map { $0.isEmpty ? "''" : escaped($0) }.joined(separator: " ")
        let again = (try? ArgumentLine(written))?.texts
        require(
            again?.elementsEqual(line.texts) { $0.unicodeScalars.elementsEqual($1.unicodeScalars) } == true,
            "\(text) becomes \(line.texts), and then \(again ?? [])")
        let masked = SecretArguments(positions: [1], names: ["-p"]).masked(line.texts)
        require(masked.first.map { $0 == SecretArguments.mask } ?? true, "\(text) is not masked: \(masked)")
    }
    _ = TemplateNames(text).unknown(among: ReplyValues.names)
    let boundary = bytes.prefix(8).map { String($0 % 10) }.joined()
    for type in ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=\(boundary)"] {
        _ = try? FormBody.value("message", query: text, contentType: type, body: bytes)
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
