/// A partition of AWS: a set of regions with accounts, ARNs and a console of its own.
package struct AWSPartition: Sendable, Hashable {
    /// The name, as in ARNs: `aws`, `aws-cn`, `aws-us-gov`.
    package let name: String
    /// The domain of its endpoints.
    package let domain: String
    /// The host of its console; nil if it is not public.
    package let console: String?
    private let regionPrefixes: [String]

    /// The known partitions. The first one has every region that belongs to no other.
    package static let all = [
        AWSPartition("aws", "amazonaws.com", console: "console.aws.amazon.com", []),
        AWSPartition("aws-cn", "amazonaws.com.cn", console: "console.amazonaws.cn", ["cn-"]),
        AWSPartition("aws-us-gov", "amazonaws.com", console: "console.amazonaws-us-gov.com", ["us-gov-"]),
        AWSPartition("aws-iso", "c2s.ic.gov", console: nil, ["us-iso-"]),
        AWSPartition("aws-iso-b", "sc2s.sgov.gov", console: nil, ["us-isob-"]),
        AWSPartition("aws-iso-e", "cloud.adc-e.uk", console: nil, ["eu-isoe-"]),
        AWSPartition("aws-iso-f", "csp.hci.ic.gov", console: nil, ["us-isof-"]),
        AWSPartition("aws-eusc", "amazonaws.eu", console: "console.amazonaws-eusc.eu", ["eusc-"]),
    ]

    private init(_ name: String, _ domain: String, console: String?, _ regionPrefixes: [String]) {
        self.name = name
        self.domain = domain
        self.console = console
        self.regionPrefixes = regionPrefixes
    }

    /// Returns the partition of a name; nil if it is unknown.
    package static func named(_ name: some StringProtocol) -> AWSPartition? {
        all.first { $0.name.utf8.elementsEqual(name.utf8) }
    }

    /// Returns the partition of a region.
    package static func of(region: String) -> AWSPartition {
        all.first { $0.regionPrefixes.contains { region.utf8.starts(with: $0.utf8) } } ?? all[0]
    }

    /// Returns true if a text has the form of a region: words of lower-case letters and a number at the end, such as
    /// `eu-west-2` or `us-gov-east-1`.
    package static func isRegion(_ text: String) -> Bool {
        let words = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard (3...5).contains(words.count), text.utf8.count <= 32, let number = words.last, let area = words.first,
            (2...4).contains(area.count)
        else { return false }
        return (1...2).contains(number.count) && number.allSatisfy { (0x30...0x39).contains($0) }
            && words.dropLast().allSatisfy { !$0.isEmpty && $0.allSatisfy { (0x61...0x7A).contains($0) } }
    }
}
