package import Foundation

/// An HTTP proxy on loopback that requires a user name and a password: proxy.py, from PyPI.
package struct Proxy: Sendable {
    /// The URL with user name and password, as for `HTTPS_PROXY`.
    package let url: String
    /// The URL without credentials, which the proxy rejects.
    package let anonymous: String

    /// Runs the body with a proxy. Throws ``PythonTools/Missing`` if the proxy is not available.
    package static func run<Value>(
        in folder: URL, isolation: isolated (any Actor)? = #isolation, _ body: (Proxy) async throws -> Value
    ) async throws -> Value {
        let program = try Program(["-c", script, folder.path], of: await PythonTools.path(of: "python"))
        guard let port = await program.line().flatMap({ Int($0) }) else {
            throw PythonTools.Missing(reason: "proxy.py did not start: \(await program.error(with: "") ?? "")")
        }
        let result: Result<Value, any Error>
        do {
            result = .success(
                try await body(Proxy(url: "http://u:p@127.0.0.1:\(port)", anonymous: "http://127.0.0.1:\(port)")))
        } catch {
            result = .failure(error)
        }
        // The proxy and its child processes exit at the end of its input.
        program.closeInput()
        _ = await program.exit()
        return try result.get()
    }

    private static let script = """
        import sys
        from proxy import Proxy
        with Proxy(["--hostname", "127.0.0.1", "--port", "0", "--num-workers", "1", "--num-acceptors", "1",
                    "--data-dir", sys.argv[1], "--basic-auth", "u:p", "--log-level", "WARNING"]) as proxy:
            print(proxy.flags.port, flush=True)
            sys.stdin.read()
        """
}
