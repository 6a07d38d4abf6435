import FaultSuite
import Foundation
import PetrelSupport
import PetrelTesting
import StackStormClient
import StackStormSimulator
import Testing

/// What README and docs show: configurations are valid, and commands print what is shown.
@Suite(.timeLimit(.minutes(20))) struct DocumentationTests {
    private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardizedFileURL

    /// A fenced block of a page.
    struct Block: Sendable, CustomStringConvertible {
        let page: String
        let line: Int
        let language: String
        let text: String

        var description: String { "\(page):\(line)" }
    }

    /// The blocks of a page. A block that is part of a list is indented; the text here is not.
    private static func blocks(of page: String) throws -> [Block] {
        let text = try String(contentsOf: root.appendingPathComponent(page), encoding: .utf8)
        var blocks: [Block] = []
        var open: (indent: Int, line: Int, language: String, lines: [Substring])?
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.drop { $0 == " " }
            if content.hasPrefix("```") {
                if let block = open {
                    blocks.append(
                        Block(
                            page: page, line: block.line, language: block.language,
                            text: block.lines.joined(separator: "\n")))
                    open = nil
                } else {
                    open = (line.count - content.count, number + 1, String(content.dropFirst(3)), [])
                }
            } else if let indent = open?.indent {
                open?.lines.append(line.dropFirst(indent))
            }
        }
        #expect(open == nil, "\(page) ends within a block")
        return blocks
    }

    /// The blocks of JSON that show a part of a configuration, as opposed to messages of the protocol for programs and to
    /// policies of AWS.
    private static let configurations: [Block] = {
        let docs =
            (try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("docs").path)) ?? []
        let pages = ["README.md"] + docs.filter { $0.hasSuffix(".md") }.sorted().map { "docs/\($0)" }
        return pages.flatMap { (try? blocks(of: $0)) ?? [] }.filter {
            $0.language == "json" && !$0.text.contains("\"jsonrpc\"")
                && !["{\"test\":", "{\"Effect\":"].contains(where: $0.text.hasPrefix)
        }
    }()

    private static let stackStorm: JSONValue = [
        "auth_url": "https://st2.example.com/auth/v1", "api_url": "https://st2.example.com/api/v1",
        "stream_url": "https://st2.example.com/stream/v1", "api_auth": ["token": "t"],
    ]

    /// Returns the configuration that a block is a part of: members of the root, or of its section `stackstorm`.
    private static func whole(_ block: Block) throws -> [String: JSONValue] {
        let text = block.text.hasPrefix("{") ? block.text : "{\(block.text)}"
        var object = try #require(try JSONValue.parse(text.utf8).object)
        var section = stackStorm.object ?? [:]
        for key in ["api_auth", "rbac_auth"] { if let value = object.removeValue(forKey: key) { section[key] = value } }
        if object["stackstorm"] == nil { object["stackstorm"] = .object(section) }
        if object["backends"] == nil {
            object["backends"] = [
                "text": ["format": "jsonl"], "slack": ["bot_token": "xoxb-1", "app_token": "xapp-1"],
            ]
        }
        if section["rbac_auth"] != nil { object["web"] = [:] }
        return object
    }

    @Test func `the pages show configurations`() {
        #expect(Set(Self.configurations.map(\.page)).count >= 6)
    }

    @Test(arguments: configurations) func `a configuration in the documentation is valid`(block: Block) async throws {
        try await withFolder { folder in
            let object = try Self.whole(block)
            // The page about AWS accounts sets such a variable in a shell.
            var environment = ["AWS_ROLE_OTHER": "arn:aws:iam::123456789012:role/PetrelInspection"]
            for match in block.text.matches(of: /\{"env": "([A-Z0-9_]+)"\}/) {
                let name = String(match.1)
                environment[name] = name == "SLACK_APP_TOKEN" ? "xapp-1" : "xoxb-a-long-value-0123456789"
            }
            // The files that the pages name beside the configuration.
            let certificate = try await SelfSigned(in: folder)
            for (name, source) in [("irc.pem", certificate.certificate), ("irc.key", certificate.key)] {
                try FileManager.default.copyItem(atPath: source, toPath: folder.appendingPathComponent(name).path)
            }
            for name in ["matrix.py", "weather.py"] {
                let file = folder.appendingPathComponent(name)
                try Data("#!/usr/bin/env python3\n".utf8).write(to: file)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
            }
            try Data(try JSONValue.encode(object)).write(to: folder.appendingPathComponent("config.json"))
            let (status, output) = await (try Program(["check"], in: folder, environment: environment)).end()
            #expect(status == 0, "\(block) is invalid: \(output)")
        }
    }

    @Test func `explain prints what README shows`() async throws {
        let blocks = try Self.blocks(of: "README.md")
        let rules = try #require(blocks.first { $0.text.contains("access_controls") })
        let shown = try #require(blocks.first { $0.text.hasPrefix("$ petrel explain") })
        let alias = SimulatedContent.alias(
            "apu.status", "Show the status of a role.", action: "core.local", formats: ["apu status {{ role }}"])
        let stackStorm = SimulatedStackStorm(SimulatedContent(aliases: [alias], actions: []))
        try await SimulatedHouse.serve(stackStorm) { settings in
            try await withFolder { folder in
                var object = try Self.whole(rules)
                object["stackstorm"] = [
                    "auth_url": .string(settings.auth.absoluteString), "api_url": .string(settings.api.absoluteString),
                    "stream_url": .string(settings.stream.absoluteString),
                    "api_auth": ["user": ["name": "petrel", "password": "demo"]],
                ]
                try Data(try JSONValue.encode(object)).write(to: folder.appendingPathComponent("config.json"))
                let runs = shown.text.components(separatedBy: "$ petrel ").filter { !$0.isEmpty }
                for run in runs {
                    let parts = run.split(separator: "\n", maxSplits: 1)
                    let script = "'\(Program.path)' \(parts[0])"
                    let shell = try Program(["-c", script], of: "/bin/sh", in: folder)
                    let output = await shell.end().output.split(separator: "\n").joined(separator: "\n")
                    let wanted = parts[1].split(separator: "\n")
                    let start = wanted.filter { $0 != "…" }.joined(separator: "\n")
                    #expect(wanted.last == "…" ? output.hasPrefix(start) : output == start, "\(parts[0]): \(output)")
                }
                #expect(runs.count == 2)
            }
        }
    }
}
