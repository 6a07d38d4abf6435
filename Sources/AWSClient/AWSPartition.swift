/// A partition of AWS: a set of regions with accounts, ARNs and a console of its own.
package struct AWSPartition: Sendable, Hashable {
    /// The name, as in ARNs: `aws`, `aws-cn`, `aws-us-gov`.
    package let name: String
    /// The domain of its endpoints.
    package let domain: String
    /// The host of its console; nil if it is not public.
    package let console: String?
    private let regionPrefixes: [String]
    /// The regions that are enabled in every account, the most usual one first; empty if they are not known
    /// (https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html).
    private let enabledRegions: [String]

    /// The known partitions. The first one has every region that belongs to no other.
    package static let all = [
        AWSPartition(
            "aws", "amazonaws.com", console: "console.aws.amazon.com", [],
            [
                "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-south-1", "ap-northeast-1", "ap-northeast-2",
                "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-west-1",
                "eu-west-2", "eu-west-3", "eu-north-1", "sa-east-1",
            ]),
        AWSPartition(
            "aws-cn", "amazonaws.com.cn", console: "console.amazonaws.cn", ["cn-"], ["cn-north-1", "cn-northwest-1"]),
        AWSPartition(
            "aws-us-gov", "amazonaws.com", console: "console.amazonaws-us-gov.com", ["us-gov-"],
            ["us-gov-west-1", "us-gov-east-1"]),
        AWSPartition("aws-iso", "c2s.ic.gov", console: nil, ["us-iso-"]),
        AWSPartition("aws-iso-b", "sc2s.sgov.gov", console: nil, ["us-isob-"]),
        AWSPartition("aws-iso-e", "cloud.adc-e.uk", console: nil, ["eu-isoe-"]),
        AWSPartition("aws-iso-f", "csp.hci.ic.gov", console: nil, ["us-isof-"]),
        AWSPartition("aws-eusc", "amazonaws.eu", console: "console.amazonaws-eusc.eu", ["eusc-"]),
    ]

    private init(
        _ name: String, _ domain: String, console: String?, _ regionPrefixes: [String], _ enabledRegions: [String] = []
    ) {
        self.name = name
        self.domain = domain
        self.console = console
        self.regionPrefixes = regionPrefixes
        self.enabledRegions = enabledRegions
    }

    /// The most usual region; nil if it is not known.
    package var defaultRegion: String? { enabledRegions.first }

    /// Returns true if a region is enabled in every account.
    package func isEnabledByDefault(_ region: String) -> Bool {
        enabledRegions.contains { $0.utf8.elementsEqual(region.utf8) }
    }

    /// Returns the partition of a name. Returns nil if it is unknown.
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
