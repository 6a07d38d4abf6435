import Foundation
import Logging
import NIOCore
import NIOPosix
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// The code of the tutorial is compiled here as a stranger would write it: without `@testable`, and without the
/// package's own symbols (`packageAccess` in Package.swift).
@Suite(.timeLimit(.minutes(20))) struct TutorialTests {
    @Test func `the code blocks of the tutorial are the code that is compiled here`() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let sources = try ["LineBackend.swift", "GreetingModule.swift"].map {
            try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8)
        }.joined(separator: "\n")
        let docs = folder.appendingPathComponent("../../Sources/PetrelKit/PetrelKit.docc")
        var count = 0
        for page in ["WriteABackendInOneFolder.md", "WriteAModule.md"] {
            let text = try String(contentsOf: docs.appendingPathComponent(page), encoding: .utf8)
            for block in text.components(separatedBy: "```swift\n").dropFirst() {
                let code = block.components(separatedBy: "\n```")[0]
                #expect(sources.contains(code), "\(page) shows code that is not compiled:\n\(code)")
                count += 1
            }
        }
        #expect(count > 3)
    }

    @Test func `every code block of the page about a bot of one's own is in a file of the example`() throws {
        let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardizedFileURL
        let example = root.appendingPathComponent("Examples/OwnBot")
        var files = ["Package.swift", "config.json", "README.md"].map { example.appendingPathComponent($0) }
        for folder in ["Sources", "Tests"] {
            let all = FileManager.default.enumerator(
                at: example.appendingPathComponent(folder), includingPropertiesForKeys: nil)
            files += try #require(all).compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
        }
        let contents = try files.map { try String(contentsOf: $0, encoding: .utf8) }
        let page = root.appendingPathComponent("Sources/PetrelKit/PetrelKit.docc/MakeYourOwnPetrel.md")
        let blocks = Self.blocks(of: try String(contentsOf: page, encoding: .utf8))
        for block in blocks {
            #expect(contents.contains { $0.contains(block) }, "the page shows code that no file contains:\n\(block)")
        }
        #expect(blocks.count > 10)
    }

    /// Returns the content of every fenced block, whatever its language.
    private static func blocks(of page: String) -> [String] {
        let parts = ("\n" + page).components(separatedBy: "\n```")
        return stride(from: 1, to: parts.count, by: 2).map { index in
            String(parts[index].drop { $0 != "\n" }.dropFirst())
        }
    }

    @Test func `the tutorial's backend and module answer over TCP, also after the connection was cut`() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        let port = try #require(server.channel.localAddress?.port)
        let context = SettingsContext(folder: URL(fileURLWithPath: "/"), environment: [:])
        let section = SettingsSection(
            ["host": "127.0.0.1", "port": .integer(port), "tls": false], at: "backends.line", in: context)
        let plugIn = LinePlugIn(name: "line", section, LaunchOptions())
        let backend = try plugIn.makeBackend(
            BackendContext(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, loop: EventLoopExecutor(),
                version: "test"))
        #expect(context.problems.isEmpty)
        let host = try TestHost([backend])
        let modules = try GreetingPlugIn([]).makeModules(
            ModuleContext(loop: EventLoopExecutor()) { host.access(for: $0) })
        try await host.run(modules) {
            try await server.executeThenClose { connections in
                var connections = connections.makeAsyncIterator()
                for name in ["first", "second"] {
                    let connection = try #require(try await connections.next())
                    try await connection.executeThenClose { inbound, outbound in
                        try await outbound.write(ByteBuffer(string: "#ops bob !greet \(name)\n"))
                        var heard = ""
                        for try await bytes in inbound {
                            heard += String(buffer: bytes)
                            if heard.hasSuffix("\n") { break }
                        }
                        #expect(heard == "#ops Hello, \(name)!\n")
                    }
                }
            }
        }
    }
}
