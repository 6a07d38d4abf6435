import Crypto
import Foundation
package import PetrelKit
package import PetrelSupport

/// The key of the secrets in the store: 256 bits, for AES-GCM (NIST SP 800-38D).
package struct StoreKey: Sendable {
    private let key: SymmetricKey
    /// An identifier that is derived from the key with SHA-256 and reveals nothing about it.
    package let id: String

    private init(_ key: SymmetricKey) {
        self.key = key
        let digest = key.withUnsafeBytes { SHA256.hash(data: Data("petrel store key".utf8) + Data($0)) }
        id = digest.prefix(8).map { String(format: "%02x", $0) }.joined()
    }

    /// Returns a new random key.
    package static func random() -> StoreKey { StoreKey(SymmetricKey(size: .bits256)) }

    /// Parses a key of 32 bytes in base64 or in 64 hexadecimal digits. Returns nil for anything else.
    package init?(_ text: Secret) {
        let text = text.reveal().trimmingCharacters(in: .whitespacesAndNewlines)
        guard let bytes = Self.hexadecimal(text) ?? Data(base64Encoded: text), bytes.count == 32 else { return nil }
        self.init(SymmetricKey(data: bytes))
    }

    private static func hexadecimal(_ text: String) -> Data? {
        let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard text.utf8.count == 64, digits.count == 64 else { return nil }
        return Data(stride(from: 0, to: 64, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
    }

    /// The key in base64, as in a key file.
    package var text: Secret { Secret(key.withUnsafeBytes { Data($0).base64EncodedString() }) }

    /// Encrypts bytes.
    ///
    /// - Parameter place: The identity of the record, which is authenticated: the bytes can be decrypted only with the
    ///   same identity.
    func seal(_ bytes: [UInt8], at place: String) throws -> Data {
        guard let sealed = try AES.GCM.seal(bytes, using: key, authenticating: Data(place.utf8)).combined else {
            throw CryptoKitError.incorrectParameterSize
        }
        return sealed
    }

    /// Decrypts bytes. Throws if they were encrypted with another key or for another place, or if they were changed.
    func open(_ sealed: Data, at place: String) throws -> [UInt8] {
        Array(try AES.GCM.open(AES.GCM.SealedBox(combined: sealed), using: key, authenticating: Data(place.utf8)))
    }
}

/// The holder of the key of one store. It reads the key, or creates it in a file when it is first needed.
package final class KeyRing: Sendable {
    /// The source of the key.
    package let source: StoreKeySource
    private let loaded = Locked<StoreKey?>(nil)

    /// Creates a holder. The default source is replaced with the systemd credential `petrel.key` if there is one.
    ///
    /// - Parameter environment: The environment of the process, in which systemd sets `CREDENTIALS_DIRECTORY`.
    package init(_ source: StoreKeySource, environment: [String: String] = [:]) {
        guard case .usual = source, let folder = environment["CREDENTIALS_DIRECTORY"] else {
            self.source = source
            return
        }
        let credential = folder + "/petrel.key"
        self.source = FileManager.default.fileExists(atPath: credential) ? .credential(credential) : source
    }

    /// Returns a holder of a random key that exists in memory only.
    package static func ephemeral() -> KeyRing { KeyRing(.value(StoreKey.random().text)) }

    /// The file of ``source``, or nil if the key is not in a file.
    package var path: String? {
        switch source {
        case .value: nil
        case .file(let path), .usual(let path), .credential(let path): path
        }
    }

    /// Returns the key, or nil if none exists yet. Throws if there is one that cannot be used.
    package func existing() throws(StoreFailure) -> StoreKey? {
        if let key = loaded.value { return key }
        let key: StoreKey?
        switch source {
        case .value(let text): key = try Self.key(text, from: "store.key")
        case .file(let path), .usual(let path): key = try Self.read(path)
        // systemd protects the directory and makes the file readable for the group of the service.
        case .credential(let path): key = try Self.read(path, forbidden: 0o007)
        }
        loaded.withLock { $0 = key }
        return key
    }

    /// Returns the key, and creates it if none exists yet.
    func needed() throws(StoreFailure) -> StoreKey {
        if let key = try existing() { return key }
        guard case .usual(let path) = source else {
            throw StoreFailure(place: "store.key", message: "\(path ?? "") does not exist")
        }
        let key = StoreKey.random()
        try Self.write(key, to: path)
        loaded.withLock { $0 = key }
        return key
    }

    func replace(with key: StoreKey) { loaded.withLock { $0 = key } }

    static func read(_ path: String, forbidden: mode_t = 0o077) throws(StoreFailure) -> StoreKey? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw StoreFailure(
                place: "store.key", message: "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & forbidden == 0 else {
            throw StoreFailure(
                place: "store.key",
                message:
                    "other users can read \(path), and decrypt every stored login with it. Run `chmod 600 \(path)`; if "
                    + "the key may have leaked, run `petrel store rotate-key` as well")
        }
        guard let data = FileManager.default.contents(atPath: path), data.count <= 1_024 else {
            throw StoreFailure(place: "store.key", message: "\(path) cannot be read")
        }
        return try key(Secret(String(decoding: data, as: UTF8.self)), from: path)
    }

    private static func key(_ text: Secret, from place: String) throws(StoreFailure) -> StoreKey {
        guard let key = StoreKey(text) else {
            throw StoreFailure(
                place: "store.key",
                message: "\(place) does not contain a valid key, which is 32 bytes in base64, as printed by "
                    + "`openssl rand -base64 32`")
        }
        return key
    }

    /// Writes a key to a new file that only its owner can read. Throws if the file already exists.
    package static func write(_ key: StoreKey, to path: String) throws(StoreFailure) {
        func failure() -> StoreFailure {
            StoreFailure(place: "store.key", message: "\(path) cannot be created: \(String(cString: strerror(errno)))")
        }
        // The file is linked only when it is complete: a truncated key would prevent every later start.
        let temporary = "\(path).\(getpid())"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure() }
        defer {
            close(file)
            unlink(temporary)
        }
        let text = Array((key.text.reveal() + "\n").utf8)
        guard Foundation.write(file, text, text.count) == text.count, fsync(file) == 0, link(temporary, path) == 0
        else { throw failure() }
        syncFolder(of: path)
    }

    /// Syncs the content of a file to the disk.
    static func syncFile(_ path: String) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        fsync(file)
        close(file)
    }

    /// Syncs the directory of a file to the disk, so that a new name survives a crash of the system.
    static func syncFolder(of path: String) {
        let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }
}
