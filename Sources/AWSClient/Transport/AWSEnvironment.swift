/// The environment variables of AWS's SDKs that are checked when the program starts.
package enum AWSEnvironment {
    private static let endpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_EC2"]

    /// Returns a clause about each variable that cannot work.
    package static func problems(_ environment: [String: String]) -> [String] {
        var problems: [String] = []
        for name in endpoints {
            guard let url = environment[name], !url.isEmpty, (try? AWSEndpoints.host(of: url)) == nil else { continue }
            problems.append("the environment variable \(name) must be an http:// or https:// address")
        }
        do {
            _ = try AWSTransport.tls(environment["AWS_CA_BUNDLE"])
        } catch {
            problems.append("\(error)")
        }
        return problems
    }
}
