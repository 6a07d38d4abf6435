import Crypto
import Foundation
package import PetrelKit
package import PetrelSupport

/// The key of the store's secrets: 256 bits, for AES-GCM (NIST SP 800-38D).
package struct StoreKey: Sendable {
    private let key: SymmetricKey
    /// Tells keys apart without telling anything of them.
    package let id: String

    private init(_ key: SymmetricKey) {
        self.key = key
        let digest = key.withUnsafeBytes { SHA256.hash(data: Data("petrel store key".utf8) + Data($0)) }
        id = digest.prefix(8).map { String(format: "%02x", $0) }.joined()
    }

    package static func random() -> StoreKey { StoreKey(SymmetricKey(size: .bits256)) }

    /// 32 bytes as base64 or as 64 hexadecimal digits; nil for anything else.
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

    /// The key as a key file holds it.
    package var text: Secret { Secret(key.withUnsafeBytes { Data($0).base64EncodedString() }) }

    /// - Parameter place: what the bytes belong to; they can be opened there only.
    func seal(_ bytes: [UInt8], at place: String) throws -> Data {
        guard let sealed = try AES.GCM.seal(bytes, using: key, authenticating: Data(place.utf8)).combined else {
            throw CryptoKitError.incorrectParameterSize
        }
        return sealed
    }

    /// Throws where the key is another one, or the bytes were changed or moved.
    func open(_ sealed: Data, at place: String) throws -> [UInt8] {
        Array(try AES.GCM.open(AES.GCM.SealedBox(combined: sealed), using: key, authenticating: Data(place.utf8)))
    }
}

/// The key of one store: read, or made in its file when it is first needed.
package final class KeyRing: Sendable {
    package let source: StoreKeySource
    private let loaded = Locked<StoreKey?>(nil)

    /// - Parameter environment: of the process; systemd says in `CREDENTIALS_DIRECTORY` where its credentials are.
    package init(_ source: StoreKeySource, environment: [String: String] = [:]) {
        guard case .usual = source, let folder = environment["CREDENTIALS_DIRECTORY"] else {
            self.source = source
            return
        }
        let credential = folder + "/petrel.key"
        self.source = FileManager.default.fileExists(atPath: credential) ? .credential(credential) : source
    }

    /// A key that is gone with the process.
    package static func ephemeral() -> KeyRing { KeyRing(.value(StoreKey.random().text)) }

    /// The file that ``source`` names.
    package var path: String? {
        switch source {
        case .value: nil
        case .file(let path), .usual(let path), .credential(let path): path
        }
    }

    /// Nil where there is none yet. Throws where there is one that cannot be used.
    package func existing() throws(StoreFailure) -> StoreKey? {
        if let key = loaded.value { return key }
        let key: StoreKey?
        switch source {
        case .value(let text): key = try Self.key(text, from: "store.key")
        case .file(let path), .usual(let path): key = try Self.read(path)
        // systemd guards its folder, and lets the service's group read the file.
        case .credential(let path): key = try Self.read(path, forbidden: 0o007)
        }
        loaded.withLock { $0 = key }
        return key
    }

    /// The key; made where there is none yet.
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
                    "others can read \(path), and with it every stored login. Run `chmod 600 \(path)`; if somebody "
                    + "may have read it, run `petrel store rotate-key` as well.")
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
                message: "\(place) holds no key: 32 bytes in base64, as `openssl rand -base64 32` "
                    + "prints them")
        }
        return key
    }

    /// Makes a file that only its owner can read. Throws where there is one already.
    package static func write(_ key: StoreKey, to path: String) throws(StoreFailure) {
        func failure() -> StoreFailure {
            StoreFailure(place: "store.key", message: "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        // Whole or not at all: half a key would stop every later start.
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

    /// The content of a file lasts only once it is on the disk.
    static func syncFile(_ path: String) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        fsync(file)
        close(file)
    }

    /// A new name lasts only once its folder is on the disk.
    static func syncFolder(of path: String) {
        let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }
}
