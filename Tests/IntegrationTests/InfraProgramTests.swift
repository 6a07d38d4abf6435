import FaultSuite
import Foundation
import PetrelSupport
import PetrelTesting
import Testing

/// The program with the section `infra`, and a simulated STS and EC2.
@Suite(.timeLimit(.minutes(30))) struct InfraProgramTests {
    private static func configuration(_ infra: JSONValue) throws -> Data {
        let object: [String: JSONValue] = ["backends": ["text": ["format": "jsonl", "linger": 300]], "infra": infra]
        return Data(try JSONValue.encode(object))
    }

    private static func run(
        _ arguments: [String], in folder: URL, _ infra: JSONValue, _ environment: [String: String]
    ) throws -> Program {
        try configuration(infra).write(to: folder.appendingPathComponent("config.json"))
        let all = environment.merging(["AWS_EC2_METADATA_DISABLED": "true"]) { own, _ in own }
        return try Program(arguments + ["--config", "config.json"], in: folder, environment: all)
    }

    @Test func `accounts of the environment are searched, without StackStorm`() async throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let script = tests.appendingPathComponent("InfraModuleTests/aws_stand_in.py")
        let standIn = try await Program([script.path], of: PythonTools.path(of: "python3"))
        let line = try #require(await standIn.line(with: "listening on"))
        let environment = [
            "AWS_ENDPOINT_URL": String(try #require(line.split(separator: " ").last)), "AWS_ACCESS_KEY_ID": "AKIDHUB",
            "AWS_SECRET_ACCESS_KEY": "hub-secret",
            "AWS_ROLE_PRODUCTION": "arn:aws:iam::111111111111:role/PetrelInspection",
            "AWS_REGION_PRODUCTION": "eu-west-2,us-east-1",
        ]
        try await withFolder { folder in
            let petrel = try Self.run(["run"], in: folder, ["timeout": 30], environment)
            for text in ["infra search 10.2.3.4", "infra accounts", "status"] {
                petrel.type(ProgramTests.say("!\(text)"))
                var reply = try #require(await petrel.line())
                // A search that is slow says so at first.
                while reply.contains("Looking in ") { reply = try #require(await petrel.line()) }
                #expect(
                    reply.contains(
                        text == "status"
                            ? "ok   infra: 1 account, 2 regions"
                            : text == "infra accounts"
                                ? ": last good answer" : "No instance matches 10.2.3.4 in 1 account."), "\(reply)")
            }
            petrel.closeInput()
            #expect(await petrel.end().status == 0)
        }
        standIn.signal(SIGKILL)
    }

    @Test func `check names every mistake, and explain the filters`() async throws {
        try await withFolder { folder in
            let infra: JSONValue = [
                "accounts": [
                    ["name": "a", "role": "arn:aws:iam::1:role/x"], ["name": "b"],
                    ["name": "c", "role": "arn:aws:iam::111111111111:role/x", "regions": ["london"]],
                ]
            ]
            let (status, problems) = await (try Self.run(["check"], in: folder, infra, [:])).end()
            #expect(status == 1)
            for problem in [
                "infra.accounts[0].role: must be the ARN", "infra.accounts[1].role: is required",
                "infra.accounts[2].regions[0]: london does not look like a region",
            ] { #expect(problems.contains(problem), "\(problems)") }
            let role = ["AWS_ROLE_PRODUCTION": "arn:aws:iam::111111111111:role/PetrelInspection"]
            let explain = try Self.run(["explain", "infra search web* state:stopped"], in: folder, [:], role)
            let (code, output) = await explain.end()
            #expect(code == 0 && output.contains("tag:Name=web* and instance-state-name=stopped"))
            #expect(output.contains("PRODUCTION (us-east-1)"))
            let incomplete = await (try Self.run(["explain", "infra"], in: folder, [:], role)).end().output
            #expect(incomplete.contains("incomplete command: infra search, infra accounts"), "\(incomplete)")
        }
    }
}
