import FaultSuite
import Foundation
import PetrelSupport
import Testing

/// `petrel lambda`, with a stand-in of AWS Lambda's runtime API and of Slack.
@Suite(.timeLimit(.minutes(20))) struct LambdaTests {
    private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardizedFileURL

    @Test func `requests are answered, within their time and without records`() async throws {
        let script = Self.root.appendingPathComponent("Benchmarks/lambda.py").path
        let check = try Program(["python3", script, "--check", Program.path], of: "/usr/bin/env")
        let (status, output) = await check.end()
        #expect(status == 0 && output.contains("ok: without a bot token, ping x is answered"), "\(output)")
    }

    @Test func `outside of AWS Lambda the command explains itself`() async throws {
        let program = try Program(["lambda"])
        #expect(await program.error(with: "AWS_LAMBDA_RUNTIME_API is not set") != nil)
        #expect(await program.end().status == 64)
    }
}
