import Crypto
import Foundation
import PetrelKit
import PetrelSupport

/// The ID that Petrel assigns to a command for StackStorm.
///
/// It is sent as `source_context` and returned as the `context` of the announcement. Nothing else is sent, because
/// StackStorm renders these strings as templates and user input in them would be evaluated. The address for the result
/// is looked up by this ID; see ``Origins``.
enum RequestID {
    /// Returns a new ID. IDs are ordered by time and end with a tag of the module.
    static func make(for instance: String) -> String {
        "\(UUID.timeOrdered().uuidString.lowercased())-\(tag(of: instance))"
    }

    /// Returns the `source_context` for an ID.
    static func context(_ request: String) -> [String: JSONValue] { ["petrel": ["request": .string(request)]] }

    /// Returns the ID of a context, or nil if the context is not from Petrel.
    static func read(_ context: [String: JSONValue]?) -> String? { context?["petrel"]?["request"]?.string }

    /// Returns true if an ID has the tag of another module.
    static func isForeign(_ request: String, to instance: String) -> Bool {
        let parts = request.split(separator: "-")
        return parts.count == 6 && parts[5] != tag(of: instance)
    }

    /// Returns the tag of a module: eight hexadecimal digits.
    private static func tag(of instance: String) -> String {
        SHA256.hash(data: Data(instance.utf8)).prefix(4).map { String(format: "%02x", $0) }.joined()
    }
}
