import Crypto
import CryptoExtras
import Foundation

/// The client side of SCRAM (RFC 5802, RFC 7677). Client and server prove to each other that they know the password
/// without sending it.
struct SCRAM: Sendable {
    enum Hash: String, Sendable, CaseIterable {
        case sha256 = "SCRAM-SHA-256"
        case sha1 = "SCRAM-SHA-1"
    }

    /// An invalid message from the server, or an error that it reports.
    struct Failure: Error, Equatable, CustomStringConvertible {
        var description: String

        init(_ description: String) { self.description = description }
    }

    /// The permitted iteration counts: the minimum of RFC 5802, section 5.1, and a limit on the CPU time for a login.
    private static let iterations = 4_096...1_000_000

    private let hash: Hash
    private let password: String
    private let firstBare: String
    private let nonce: String
    private var signature: [UInt8]?

    /// - Parameter nonce: printable ASCII without commas; unique for every login.
    init(_ hash: Hash, user: String, password: String, nonce: String) {
        self.hash = hash
        self.nonce = nonce
        self.password = Self.prepared(password)
        firstBare = "n=\(Self.escaped(Self.prepared(user))),r=\(nonce)"
    }

    /// Returns a random nonce of 192 bits, in Base64.
    static func nonce() -> String {
        Data((0..<24).map { _ in UInt8.random(in: 0...255) }).base64EncodedString()
    }

    /// The GS2 header (RFC 5802, section 7) of a client that does not support channel binding.
    private static let header = "n,,"

    /// The client's first message.
    var first: String { Self.header + firstBare }

    /// Returns the client's final message, the response to the server's challenge.
    mutating func final(to challenge: String) throws(Failure) -> String {
        let fields = Self.fields(challenge)
        guard fields["m"] == nil else { throw Failure("the server requires an unknown SCRAM extension") }
        guard let whole = fields["r"], whole.hasPrefix(nonce), whole.utf8.count > nonce.utf8.count else {
            throw Failure("the server's nonce does not start with the client's nonce")
        }
        guard let salt = fields["s"].flatMap({ Data(base64Encoded: $0) }), !salt.isEmpty else {
            throw Failure("the server sent no valid salt")
        }
        guard let count = fields["i"].flatMap({ Int($0) }), Self.iterations.contains(count) else {
            throw Failure("the server requires \(fields["i"] ?? "no") iterations; permitted are \(Self.iterations)")
        }
        let salted = try salted(salt, count)
        let withoutProof = "c=\(Data(Self.header.utf8).base64EncodedString()),r=\(whole)"
        let message = Array("\(firstBare),\(challenge),\(withoutProof)".utf8)
        let clientKey = code(of: Array("Client Key".utf8), key: salted)
        let clientSignature = code(of: message, key: digest(of: clientKey))
        let proof = zip(clientKey, clientSignature).map { $0 ^ $1 }
        signature = code(of: message, key: code(of: Array("Server Key".utf8), key: salted))
        return "\(withoutProof),p=\(Data(proof).base64EncodedString())"
    }

    /// Verifies the server's final message. Throws ``Failure`` if the server did not prove that it knows the password.
    func verify(_ answer: String) throws(Failure) {
        let fields = Self.fields(answer)
        if let error = fields["e"] { throw Failure("the server reported \(error)") }
        guard let signature, let theirs = fields["v"].flatMap({ Data(base64Encoded: $0) }),
            Self.isSame(Array(theirs), signature)
        else { throw Failure("the server did not prove that it knows the password") }
    }

    private static func fields(_ text: String) -> [Unicode.Scalar: String] {
        var fields: [Unicode.Scalar: String] = [:]
        for part in text.unicodeScalars.split(separator: ",") {
            guard part.dropFirst().first == "=", let key = part.first, fields[key] == nil else { continue }
            fields[key] = String(part.dropFirst(2))
        }
        return fields
    }

    private static func escaped(_ name: String) -> String {
        name.unicodeScalars.map { $0 == "=" ? "=3D" : $0 == "," ? "=2C" : String($0) }.joined()
    }

    /// Applies the mappings and the normalization of SASLprep (RFC 4013), without its checks for prohibited characters.
    private static func prepared(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars where scalar.properties.generalCategory != .format {
            scalars.append(scalar.properties.generalCategory == .spaceSeparator ? " " : scalar)
        }
        return String(scalars).precomposedStringWithCompatibilityMapping
    }

    /// Compares in constant time.
    private static func isSame(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        return zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private func salted(_ salt: Data, _ count: Int) throws(Failure) -> [UInt8] {
        do {
            let key =
                switch hash {
                case .sha1:
                    try KDF.Insecure.PBKDF2.deriveKey(
                        from: Data(password.utf8), salt: salt, using: .insecureSHA1, outputByteCount: 20,
                        unsafeUncheckedRounds: count)
                case .sha256:
                    try KDF.Insecure.PBKDF2.deriveKey(
                        from: Data(password.utf8), salt: salt, using: .sha256, outputByteCount: 32,
                        unsafeUncheckedRounds: count)
                }
            return key.withUnsafeBytes { Array($0) }
        } catch {
            throw Failure("cannot derive a key from the password: \(error)")
        }
    }

    private func code(of message: [UInt8], key: [UInt8]) -> [UInt8] {
        let key = SymmetricKey(data: key)
        return switch hash {
        case .sha1: Array(HMAC<Insecure.SHA1>.authenticationCode(for: message, using: key))
        case .sha256: Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
        }
    }

    private func digest(of bytes: [UInt8]) -> [UInt8] {
        switch hash {
        case .sha1: Array(Insecure.SHA1.hash(data: bytes))
        case .sha256: Array(SHA256.hash(data: bytes))
        }
    }
}
