import Crypto
import Foundation
import PetrelKit
import PetrelSupport

/// Petrel's own id of a command that it hands to StackStorm. It travels as `source_context`, returns as the `context` of
/// the announcement, and is all that travels: StackStorm renders these strings as templates, so that nothing in them may
/// come from a person. Where the result goes is looked up by it; see ``Origins``.
enum RequestID {
    /// Rising in time; its end tells which section of the configuration asked.
    static func make(for instance: String) -> String {
        "\(UUID.timeOrdered().uuidString.lowercased())-\(tag(of: instance))"
    }

    static func context(_ request: String) -> [String: JSONValue] { ["petrel": ["request": .string(request)]] }

    /// Nil where the context is not Petrel's.
    static func read(_ context: [String: JSONValue]?) -> String? { context?["petrel"]?["request"]?.string }

    /// Whether another section of the configuration asked.
    static func isForeign(_ request: String, to instance: String) -> Bool {
        let parts = request.split(separator: "-")
        return parts.count == 6 && parts[5] != tag(of: instance)
    }

    /// Eight hexadecimal digits.
    private static func tag(of instance: String) -> String {
        SHA256.hash(data: Data(instance.utf8)).prefix(4).map { String(format: "%02x", $0) }.joined()
    }
}
