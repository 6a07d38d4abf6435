import FaultSuite
import Foundation
import PetrelSupport
import PetrelTesting
import PlugInTemplates
import Testing

/// Plug-ins that `petrel new` has written.
@Suite(.timeLimit(.minutes(30))) struct NewTests {
    private static let kinds = ["module", "backend"]
    private static let languages = ["python", "sh"]

    private static func new(_ arguments: [String], in folder: URL) async throws -> (status: Int32, output: String) {
        try await Program(["new"] + arguments, in: folder).end()
    }

    /// Returns the names of all files in a folder.
    private static func contents(_ folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    @Test(arguments: kinds, languages) func `the commands that are printed test the plug-in and check it`(
        kind: String, language: String
    ) async throws {
        try await withFolder { folder in
            let place = folder.appendingPathComponent("a place")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
            let (status, output) = try await Self.new(
                [kind, "tea-time", "--language", language, "--to", "a place"], in: folder)
            #expect(status == 0, "\(output)")
            #expect(try Self.contents(place) == ["tea-time"])
            let commands = output.components(separatedBy: "\n").filter {
                $0.hasPrefix("  ") && ($0.contains("test_tea") && $0.contains("place") || $0.contains(" check "))
            }
            #expect(commands.count == 2, "\(output)")
            for command in commands {
                let shell = try Program(["-c", "\(command) 2>&1"], of: "/bin/sh", in: folder)
                let (status, output) = await shell.end()
                #expect(status == 0 && !output.contains("warning"), "\(command): \(output)")
            }
        }
    }

    @Test(arguments: kinds, languages) func `the conformance test in the README passes`(
        kind: String, language: String
    ) async throws {
        try await withFolder { folder in
            #expect(try await Self.new([kind, "tea", "--language", language], in: folder).status == 0)
            let place = folder.appendingPathComponent("tea")
            let page = try String(contentsOf: place.appendingPathComponent("README.md"), encoding: .utf8)
            let line = try #require(page.components(separatedBy: "`").first { $0.hasPrefix("petrel plugin test ") })
            let command = line.replacing("petrel plugin test", with: "\"$0\" plugin test --patience 60")
            let (status, output) = await (try Program(["-c", command, Program.path], of: "/bin/sh", in: place)).end()
            #expect(status == 0 && output.contains(" 0 failed"), "\(output)")
        }
    }

    @Test(arguments: languages) func `a module answers, and keeps its records`(language: String) async throws {
        try await withFolder { folder in
            #expect(try await Self.new(["module", "tea-time", "--language", language], in: folder).status == 0)
            for total in [2, 4] {
                let bot = try Program(["run", "--config", "tea-time/config.json"], in: folder)
                bot.type("!tea-time 'a \"b\" \\\\ é' 2")
                #expect(await bot.line() == "a \"b\" \\\\ é: \(total)")
                bot.type("!tea-time tea 101")
                #expect(await bot.line() == "The amount must be between 1 and 100.")
                bot.closeInput()
                #expect(await bot.end().status == 0)
            }
        }
    }

    @Test func `the chat of the backend in Python answers its client`() async throws {
        try await withFolder { folder in
            #expect(try await Self.new(["backend", "tea-time"], in: folder).status == 0)
            let bot = try Program(["run", "--config", "tea-time/config.json"], in: folder)
            #expect(await bot.error(with: "Clients can connect to tea-time.sock.") != nil)
            let client = try Program(["python3", "tea-time/client.py", "ada"], of: "/usr/bin/env", in: folder)
            client.type("!whoami")
            #expect(await client.line(with: "@ada") != nil)
            client.type("!version")
            #expect(await client.line(with: "Petrel ") != nil)
            client.signal(SIGTERM)
            bot.signal(SIGTERM)
            #expect(await bot.end().status == 0)
        }
    }

    @Test func `the chat of the backend in sh answers`() async throws {
        try await withFolder { folder in
            #expect(try await Self.new(["backend", "tea-time", "--language", "sh"], in: folder).status == 0)
            let chat = folder.appendingPathComponent("tea-time/chat").path
            try FileManager.default.createDirectory(atPath: chat, withIntermediateDirectories: false)
            #expect(mkfifo(chat + "/in", 0o600) == 0)
            let bot = try Program(["run", "--config", "tea-time/config.json"], in: folder)
            let script = "echo '!version' >in; touch out; exec tail -n +1 -f out"
            let client = try Program(["-c", script], of: "/bin/sh", in: URL(fileURLWithPath: chat))
            #expect(await client.line(with: "Petrel ") != nil)
            client.signal(SIGTERM)
            bot.signal(SIGTERM)
            #expect(await bot.end().status == 0)
        }
    }

    @Test func `a package in Swift depends on the checkout that contains the program, or on another package`()
        async throws
    {
        try await withFolder { folder in
            #expect(try await Self.new(["module", "tea", "--language", "swift"], in: folder).status == 0)
            let checkout = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized.path
            let manifest = folder.appendingPathComponent("tea/Package.swift")
            #expect(try String(contentsOf: manifest, encoding: .utf8).contains("(path: \"\(checkout)\")"))
            let url = "https://example.com/bird.git"
            let (status, _) = try await Self.new(
                ["backend", "cup", "--language", "swift", "--petrel", url], in: folder)
            #expect(status == 0)
            let other = folder.appendingPathComponent("cup/Package.swift")
            #expect(try String(contentsOf: other, encoding: .utf8).contains("(url: \"\(url)\", branch: \"main\")"))
        }
    }

    @Test func `nothing is overwritten`() async throws {
        try await withFolder { folder in
            let manager = FileManager.default
            func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
            try manager.createDirectory(atPath: path("folder"), withIntermediateDirectories: false)
            try Data("mine".utf8).write(to: folder.appendingPathComponent("file"))
            try manager.createSymbolicLink(atPath: path("dangling"), withDestinationPath: "elsewhere")
            try manager.createSymbolicLink(atPath: path("link"), withDestinationPath: "folder")
            for name in ["folder", "file", "dangling", "link"] {
                let program = try Program(["new", "module", name], in: folder)
                #expect(await program.error(with: "\(name) already exists, and nothing was changed") != nil)
                #expect(await program.end().status == 73)
            }
            #expect(try Self.contents(folder) == ["dangling", "file", "folder", "link"])
            #expect(try Self.contents(folder.appendingPathComponent("folder")).isEmpty)
            #expect(try Data(contentsOf: folder.appendingPathComponent("file")) == Data("mine".utf8))
        }
    }

    @Test(arguments: [
        ["module", ""], ["module", "../x"], ["module", "a b"], ["module", "Ä"], ["module", "-x"],
        ["module", "x\u{1B}[2J"],
        ["module", String(repeating: "a", count: 200)], ["module", "queue"], ["module", "petrel"],
        ["module", "builtins"], ["module", "status"], ["module", "st2"], ["backend", "text"], ["backend", "slack"],
        ["backend", "client"], ["frontend", "x"], ["module", "x", "--language", "cobol"], ["module"],
        ["module", "chat", "--language", "swift"], ["module", "x", "--language", "swift", "--petrel", "missing"],
    ]) func `other names are refused as wrong usage`(arguments: [String]) async throws {
        try await withFolder { folder in
            let program = try Program(["new"] + arguments, in: folder)
            let error = await program.error(with: "Error: ")
            #expect(error?.utf8.contains(0x1B) == false, "\(error ?? "no error")")
            #expect(await program.end().status == 64)
            #expect(try Self.contents(folder).isEmpty)
        }
    }

    @Test func `a word that is reserved in other languages is a name`() async throws {
        try await withFolder { folder in
            #expect(try await Self.new(["module", "class"], in: folder).status == 0)
            let tests = try Program(["python3", "class/test_class.py"], of: "/usr/bin/env", in: folder)
            #expect(await tests.end().status == 0)
        }
    }

    @Test func `a folder that is missing or cannot be written is named`() async throws {
        try await withFolder { folder in
            // The kernel's folder cannot be written by root either.
            for place in ["missing", "/proc/self"] {
                let program = try Program(["new", "module", "tea", "--to", place], in: folder)
                #expect(await program.error(with: "cannot create files in \(place), and nothing remains: ") != nil)
                #expect(await program.end().status == 73)
            }
            #expect(try Self.contents(folder).isEmpty)
        }
    }

    @Test func `nothing remains if a file cannot be written in full`() async throws {
        try await withFolder { folder in
            // No file may have more than two blocks of 512 bytes.
            let script = "trap '' XFSZ; ulimit -f 2; exec \"$0\" new module tea"
            let program = try Program(["-c", script, Program.path], of: "/bin/sh", in: folder)
            #expect(await program.error(with: "nothing remains: File too large") != nil)
            #expect(await program.end().status == 73)
            #expect(try Self.contents(folder).isEmpty)
        }
    }

    @Test func `the names of the modules of Python's library are reserved`() async throws {
        let script = "import sys; print(*sorted(sys.stdlib_module_names), sep='\\n')"
        let (status, output) = await (try Program(["python3", "-c", script], of: "/usr/bin/env")).end()
        #expect(status == 0)
        let names = output.components(separatedBy: "\n").compactMap { PlugInName($0) }
        #expect(names.count > 100)
        for name in names { #expect(name.obstacle(in: .python) != nil, "\(name.text)") }
    }
}
