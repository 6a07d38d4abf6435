/// The ARN of an IAM role, such as `arn:aws:iam::123456789012:role/PetrelInspection`.
package struct RoleARN: Sendable, Hashable, CustomStringConvertible {
    /// The partition of the account.
    package let partition: AWSPartition
    /// The twelve digits of the account.
    package let account: String
    /// The path and the name of the role, such as `ops/PetrelInspection`.
    package let name: String

    /// Parses an ARN. Returns nil if the text is not the ARN of a role in a known partition.
    package init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        let resource = Array("role/".utf8)
        guard parts.count == 6, parts[0].elementsEqual("arn".utf8),
            let partition = AWSPartition.named(String(decoding: parts[1], as: UTF8.self)),
            parts[2].elementsEqual("iam".utf8), parts[3].isEmpty, parts[4].count == 12,
            parts[4].allSatisfy({ (0x30...0x39).contains($0) }), parts[5].starts(with: resource),
            parts[5].count > resource.count, parts[5].count <= 600, parts[5].allSatisfy(Self.isAllowed)
        else { return nil }
        self.partition = partition
        account = String(decoding: parts[4], as: UTF8.self)
        name = String(decoding: parts[5].dropFirst(resource.count), as: UTF8.self)
    }

    /// The characters of a path and a name: those of `[\w+=,.@/-]`, and the others of ASCII that a path may have.
    private static func isAllowed(_ byte: UInt8) -> Bool { (0x21...0x7E).contains(byte) }

    /// The text of the ARN.
    package var description: String { "arn:\(partition.name):iam::\(account):role/\(name)" }
}
