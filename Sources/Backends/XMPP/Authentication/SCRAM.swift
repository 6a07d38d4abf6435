import Crypto
import CryptoExtras
import Foundation

/// The client's side of SCRAM (RFC 5802, RFC 7677): the password is proved, not told, and the server has to prove that
/// it knows it, too.
struct SCRAM: Sendable {
    enum Hash: String, Sendable, CaseIterable {
        case sha256 = "SCRAM-SHA-256"
        case sha1 = "SCRAM-SHA-1"
    }

    /// What the server says is not what SCRAM expects.
    struct Failure: Error, Equatable, CustomStringConvertible {
        var description: String

        init(_ description: String) { self.description = description }
    }

    /// RFC 5802 asks for at least so many; more than the other would cost whoever connects too much time.
    private static let iterations = 4_096...1_000_000

    private let hash: Hash
    private let password: String
    private let firstBare: String
    private let nonce: String
    private var signature: [UInt8]?

    /// - Parameter nonce: printable, without commas; another one for every login.
    init(_ hash: Hash, user: String, password: String, nonce: String) {
        self.hash = hash
        self.nonce = nonce
        self.password = Self.prepared(password)
        firstBare = "n=\(Self.escaped(Self.prepared(user))),r=\(nonce)"
    }

    static func nonce() -> String {
        Data((0..<24).map { _ in UInt8.random(in: 0...255) }).base64EncodedString()
    }

    /// A client that could bind to the channel would say so; this one cannot.
    private static let header = "n,,"

    var first: String { Self.header + firstBare }

    /// What answers the server's challenge.
    mutating func final(to challenge: String) throws(Failure) -> String {
        let fields = Self.fields(challenge)
        guard fields["m"] == nil else { throw Failure("the server asks for an extension of SCRAM") }
        guard let whole = fields["r"], whole.hasPrefix(nonce), whole.utf8.count > nonce.utf8.count else {
            throw Failure("the server's nonce does not begin with ours")
        }
        guard let salt = fields["s"].flatMap({ Data(base64Encoded: $0) }), !salt.isEmpty else {
            throw Failure("the server sends no salt")
        }
        guard let count = fields["i"].flatMap({ Int($0) }), Self.iterations.contains(count) else {
            throw Failure("the server asks for \(fields["i"] ?? "no") iterations, and not for \(Self.iterations)")
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

    /// Whether the server knows the password, too.
    func verify(_ answer: String) throws(Failure) {
        let fields = Self.fields(answer)
        if let error = fields["e"] { throw Failure("the server says \(error)") }
        guard let signature, let theirs = fields["v"].flatMap({ Data(base64Encoded: $0) }),
            Self.isSame(Array(theirs), signature)
        else { throw Failure("the server does not prove that it knows the password") }
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

    /// SASLprep (RFC 4013) as far as it makes different ways to type the same equal.
    private static func prepared(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars where scalar.properties.generalCategory != .format {
            scalars.append(scalar.properties.generalCategory == .spaceSeparator ? " " : scalar)
        }
        return String(scalars).precomposedStringWithCompatibilityMapping
    }

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
            throw Failure("the password cannot be hashed: \(error)")
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
