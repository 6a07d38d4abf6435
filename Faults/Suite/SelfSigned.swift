package import Foundation
import PetrelKit
import PetrelSupport

/// A self-signed certificate for `localhost`.
package struct SelfSigned: Sendable {
    /// The path of the certificate, a PEM file.
    package let certificate: String
    /// The path of the private key, a PEM file.
    package let key: String

    /// Creates the certificate in a folder with openssl.
    package init(in folder: URL) async throws {
        certificate = folder.appendingPathComponent("cert.pem").path
        key = folder.appendingPathComponent("key.pem").path
        let openssl = Process()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ]
        openssl.standardError = FileHandle.nullDevice
        let exited = Signal()
        openssl.terminationHandler = { _ in exited.open() }
        try openssl.run()
        await exited.wait()
        guard openssl.terminationStatus == 0 else { throw Refusal("openssl did not create a certificate") }
    }
}
