import FaultSuite
import Foundation
import PetrelSupport
import Testing

@testable import AWSClient

/// The key and the time of AWS's examples.
private let credentials = AWSCredentials(
    accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
private let time: Int64 = 1_440_938_160
private let signer = SigV4(region: "us-east-1", service: "service")

@Suite struct SigV4Tests {
    @Test func `AWS's simplest example has the published signature`() {
        let request = SigningRequest(method: "GET", headers: [("Host", "example.amazonaws.com")])
        let headers = signer.headers(of: request, with: credentials, at: time)
        #expect(headers.map(\.name) == ["Host", "X-Amz-Date", "Authorization"])
        #expect(headers[1].value == "20150830T123600Z")
        #expect(
            headers[2].value == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                + "SignedHeaders=host;x-amz-date, "
                + "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
    }

    @Test func `the session token is sent and signed`() {
        var temporary = credentials
        temporary.sessionToken = Secret("a/b+c==")
        let request = SigningRequest(method: "POST", headers: [("Host", "example.amazonaws.com")])
        let headers = signer.headers(of: request, with: temporary, at: time)
        #expect(headers.contains { $0.name == "X-Amz-Security-Token" && $0.value == "a/b+c==" })
        #expect(headers.last?.value.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,") == true)
    }
}

/// The test suite of AWS, as botocore has it.
@Suite(.timeLimit(.minutes(30))) struct SigV4SuiteTests {
    /// A case: the folder with its files.
    private struct Case {
        var url: URL
        var name: String { url.lastPathComponent }

        func text(_ kind: String) throws -> String {
            let file = url.appendingPathComponent("\(name).\(kind)")
            return try String(contentsOf: file, encoding: .utf8).replacing("\r", with: "")
        }

        /// The request. Line breaks inside of a header value are kept.
        var request: SigningRequest {
            get throws {
                let text = try text("req")
                let parts = text.split(separator: "\n\n", maxSplits: 1).map(String.init)
                let lines = parts[0].split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
                // The path may contain spaces.
                let words = lines[0].split(separator: " ").map(String.init)
                let target = words[1..<(words.count - 1)].joined(separator: " ")
                let (path, query) = Self.split(target, at: "?")
                var headers: [(name: String, value: String)] = []
                for line in lines.dropFirst() where !line.isEmpty {
                    if line.hasPrefix(" ") {
                        headers[headers.count - 1].value += "\n" + line
                    } else {
                        let (name, value) = Self.split(line, at: ":")
                        headers.append((name, value ?? ""))
                    }
                }
                let pairs = (query ?? "").split(separator: "&").map { pair in
                    let (name, value) = Self.split(String(pair), at: "=")
                    return (name: name.removingPercentEncoding ?? name, value: value?.removingPercentEncoding ?? "")
                }
                return SigningRequest(
                    method: words[0], path: path, query: pairs, headers: headers,
                    body: Array((parts.count > 1 ? parts[1] : "").utf8))
            }
        }

        private static func split(_ text: String, at mark: Character) -> (String, String?) {
            guard let place = text.firstIndex(of: mark) else { return (text, nil) }
            return (String(text[..<place]), String(text[text.index(after: place)...]))
        }
    }

    private static func cases() async throws -> [Case] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let setup = try Program([], of: root.appendingPathComponent("Scripts/sigv4-suite").path)
        let (status, output) = await setup.end()
        try #require(status == 0, "Scripts/sigv4-suite: \(output)")
        let folder = root.appendingPathComponent(".build-python/sigv4")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        return (files?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "req" }
            .map { Case(url: $0.deletingLastPathComponent()) }
    }

    /// All 34 cases fit a request with headers. In `get-vanilla-with-session-token` the token is part of the credentials,
    /// and in `post-sts-header-after` it is added after signing, so that the request that is signed has none.
    @Test func `all cases of the suite have the expected signatures`() async throws {
        let cases = try await Self.cases()
        #expect(cases.count == 34)
        for one in cases {
            var request = try one.request
            let token = try one.text("creq").firstMatch(of: #/\nx-amz-security-token:(.*)/#)?.1
            if let token, !request.headers.contains(where: { $0.name == "X-Amz-Security-Token" }) {
                request.headers.append(("X-Amz-Security-Token", String(token)))
            }
            let canonical = signer.canonical(request)
            #expect(canonical == (try one.text("creq")), "\(one.name)")
            #expect(signer.stringToSign(canonical, at: time) == (try one.text("sts")), "\(one.name)")
            #expect(
                signer.authorization(of: request, with: credentials, at: time) == (try one.text("authz")),
                "\(one.name)")
        }
    }
}
