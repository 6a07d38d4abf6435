import Foundation
import PetrelSupport

/// The URLs of services, which `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL_EC2` and `AWS_ENDPOINT_URL` replace.
struct AWSEndpoints: Sendable {
    private let environment: [String: String]

    init(_ environment: [String: String]) { self.environment = environment }

    /// Returns the URL of a service in a region.
    func url(of service: String, in region: String) -> String {
        let names = ["AWS_ENDPOINT_URL_\(service.uppercased())", "AWS_ENDPOINT_URL"]
        if let url = names.lazy.compactMap({ environment[$0] }).first(where: { !$0.isEmpty }) {
            return url.utf8.last == UInt8(ascii: "/") ? url : url + "/"
        }
        return "https://\(service).\(region).\(AWSPartition.of(region: region).domain)/"
    }

    /// The requirement for the URL of a service.
    static let requirement =
        "an http:// or https:// address without a user, a query and a fragment, and with a valid port"

    /// Returns the URL of a service. Returns nil if a text is not one.
    static func parsed(_ url: String) -> URL? {
        guard let parsed = URL(string: url), let scheme = parsed.scheme,
            ["http", "https"].contains(where: { scheme.isKeyword($0) }),
            parsed.host(percentEncoded: false)?.isEmpty == false, parsed.hasValidPort,
            parsed.user == nil, parsed.password == nil, parsed.query == nil, parsed.fragment == nil
        else { return nil }
        return parsed
    }

    /// Returns the value of `Host` for a URL: with the port unless it is the default.
    static func host(of url: String) throws -> String {
        guard let parsed = parsed(url), let name = parsed.host(percentEncoded: false) else {
            throw AWSError(.unreachable, "the address of the service must be \(requirement)")
        }
        let bracketed = name.utf8.contains(UInt8(ascii: ":")) ? "[\(name)]" : name
        let isDefault = parsed.port == nil || parsed.port == (parsed.scheme?.isKeyword("https") == true ? 443 : 80)
        return isDefault ? bracketed : "\(bracketed):\(parsed.port ?? 0)"
    }

    /// Returns the path of a URL.
    static func path(of url: String) -> String { URL(string: url)?.path(percentEncoded: true) ?? "/" }
}
