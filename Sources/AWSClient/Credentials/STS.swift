import PetrelSupport
import XMLStream

/// The parts of the Security Token Service that are used.
enum STS {
    static let version = "2011-06-15"
    /// The lifetime of sessions, in seconds: the default maximum of a role.
    static let lifetime = 3_600

    /// The reading of an answer with credentials.
    static let reading = QueryClient.Reading<Issued>(initial: Issued()) { issued, element in
        guard let found = element.first("Credentials") else { return }
        issued = Issued(
            key: found.child("AccessKeyId")?.text, secret: found.child("SecretAccessKey")?.text,
            token: found.child("SessionToken")?.text, expiration: found.child("Expiration")?.text)
    }

    /// The fields of credentials in an answer.
    struct Issued: Sendable {
        var key: String?
        var secret: String?
        var token: String?
        var expiration: String?

        /// Returns the credentials. Throws ``AWSError`` if a field is missing.
        /// - Parameter offset: The correction for the clock of the service that has issued them, in seconds.
        func checked(offset: Int64) throws -> AWSCredentials {
            guard let key, let secret, let token, let expires = expiration.flatMap({ AWSTime.seconds($0) }) else {
                throw AWSError(.unexpectedAnswer, "the answer of STS has no credentials")
            }
            return AWSCredentials(
                accessKeyID: key, secretAccessKey: Secret(secret), sessionToken: Secret(token),
                expiration: expires - offset)
        }
    }

    /// Returns a valid name of a session, which CloudTrail shows: 2 to 64 of `[\w+=,.@-]`.
    static func sessionName(_ name: String) -> String {
        let bytes = name.utf8.prefix(64).map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x3D, 0x2C, 0x2E, 0x40, 0x2D, 0x5F: byte
            default: UInt8(ascii: "-")
            }
        }
        return bytes.count < 2 ? "petrel" : String(decoding: bytes, as: UTF8.self)
    }
}

extension XMLElement {
    /// Returns the first element with this name: the element itself, or one inside it.
    func first(_ name: String) -> XMLElement? {
        if self.name.utf8.elementsEqual(name.utf8) { return self }
        for child in children { if let found = child.first(name) { return found } }
        return nil
    }
}
