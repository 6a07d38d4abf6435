import Foundation

/// Replaces placeholders such as `{{name}}`.
enum Placeholders {
    /// Returns the text with the values in place of the placeholders. Values are not scanned for placeholders, and one
    /// without a value remains.
    static func fill(_ text: String, _ values: [String: String]) -> String {
        let parts = text.components(separatedBy: "{{")
        return parts.dropFirst().reduce(into: parts[0]) { result, part in
            guard let end = part.range(of: "}}"), let value = values[String(part[..<end.lowerBound])] else {
                result += "{{" + part
                return
            }
            result += value + part[end.upperBound...]
        }
    }
}
