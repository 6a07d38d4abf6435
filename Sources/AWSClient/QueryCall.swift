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

    /// The body of the request.
    var body: [UInt8] {
        let all = [("Action", action), ("Version", version)] + parameters.map { ($0.name, $0.value) }
        return Array(
            all.map { "\(PercentEncoding.encoded($0.0.utf8))=\(PercentEncoding.encoded($0.1.utf8))" }
                .joined(separator: "&").utf8)
    }
}
