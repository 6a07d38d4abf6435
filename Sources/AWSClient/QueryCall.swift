/// A call of a service with the query protocol: the parameters are a form, and the answer is XML.
package struct QueryCall: Sendable {
    /// The service: `sts` or `ec2`.
    package var service: String
    /// The action, such as `DescribeInstances`.
    package var action: String
    /// The version of the API.
    package var version: String
    /// The parameters of the action, in order.
    package var parameters: [(name: String, value: String)]
    /// The depth at which the elements of the answer are read one by one; see `StanzaParser.Limits.level`.
    var level = 1

    /// Returns a text as a form has it, with `+` for a space.
    private static func encoded(_ text: String) -> String {
        text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            .map { PercentEncoding.encoded($0) }.joined(separator: "+")
    }

    /// The body of the request.
    var body: [UInt8] {
        let all = [("Action", action), ("Version", version)] + parameters.map { ($0.name, $0.value) }
        return Array(
            all.map { "\(Self.encoded($0.0))=\(Self.encoded($0.1))" }.joined(separator: "&").utf8)
    }
}
