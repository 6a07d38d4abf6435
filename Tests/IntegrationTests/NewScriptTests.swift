import FaultSuite
import Foundation
import PetrelSupport
import PetrelTesting
import Testing

/// Scripts and configurations that `petrel new` has written, as docs/Scripts.md describes them.
@Suite(.timeLimit(.minutes(30))) struct NewScriptTests {
    private static func run(_ arguments: [String], in folder: URL) async throws -> (status: Int32, output: String) {
        try await Program(arguments, in: folder).end()
    }

    @Test func `relative paths refer to the folder of the configuration`() async throws {
        try await withFolder { folder in
            #expect(try await Self.run(["new", "script", "hello"], in: folder).status == 0)
            let conf = folder.appendingPathComponent("conf")
            try FileManager.default.createDirectory(at: conf, withIntermediateDirectories: false)
            for directory in ["../scripts", "./../scripts", "x/../../scripts"] {
                let config: JSONValue = [
                    "backends": ["text": [:]], "store": ["path": "../conf/petrel.db"],
                    "jobs": ["scripts": ["directory": .string(directory), "auth_strategy": "any"]],
                ]
                try Data(try JSONValue.encode(config)).write(to: conf.appendingPathComponent("config.json"))
                for (path, place) in [
                    ("config.json", conf), ("./config.json", conf), ("../conf/config.json", conf),
                    ("conf/config.json", folder), (conf.path + "/config.json", folder),
                ] {
                    let run = try await Self.run(["script", "run", "--config", path, "hello", "Ada"], in: place)
                    #expect(run.output == "Hello, Ada!", "\(directory) \(path): \(run.output)")
                    let check = try await Self.run(["check", "--config", path], in: place)
                    #expect(check.status == 0 && !check.output.contains("does not exist"), "\(path): \(check.output)")
                }
            }
        }
    }

    @Test func `the steps of the documentation lead to a script that answers and changes`() async throws {
        try await withFolder { folder in
            let config = try await Self.run(["new", "config"], in: folder)
            #expect(config.status == 0 && config.output.contains("config.json"), "\(config.output)")
            #expect(try await Self.run(["new", "script", "hello"], in: folder).status == 0)
            let tests = try Program(["scripts/_test_hello.sh"], of: "/bin/sh", in: folder)
            #expect(await tests.end().output == "All tests passed.")
            #expect(try await Self.run(["script", "run", "hello", "Ada"], in: folder).output == "Hello, Ada!")
            let check = try await Self.run(["check"], in: folder)
            #expect(check.status == 0 && !check.output.contains("warning"), "\(check.output)")

            let bot = try Program(["run"], in: folder)
            bot.type("!hello Ada")
            #expect(await bot.line(with: "Hello, Ada!") != nil)
            let script = folder.appendingPathComponent("scripts/hello.sh")
            let text = try String(contentsOf: script, encoding: .utf8)
            try Data(text.replacingOccurrences(of: "Hello, %s", with: "Good day, %s").utf8).write(to: script)
            // A change of a file is noticed some time later.
            var reply = ""
            while !reply.contains("Good day, Ada!") {
                bot.type("!hello Ada")
                reply = try #require(await bot.line())
            }
            bot.type("!disk")
            #expect(await bot.line(with: "Filesystem") != nil)
            bot.closeInput()
            #expect(await bot.end().status == 0)
        }
    }

    @Test(arguments: ["sh", "python"]) func `a script passes its tests and answers without chat`(
        language: String
    ) async throws {
        try await withFolder { folder in
            let new = try await Self.run(
                ["new", "script", "tea-time", "--language", language, "--to", "a place"], in: folder)
            #expect(new.status == 0, "\(new.output)")
            let commands = new.output.components(separatedBy: "\n").filter { $0.hasPrefix("  ") && $0.contains(" ") }
            let runnable = commands.filter { $0.contains("_test_") && $0.contains("'") || $0.contains(" run ") }
            #expect(runnable.count == 2, "\(new.output)")
            for command in runnable {
                let (status, output) = await (try Program(["-c", "\(command) 2>&1"], of: "/bin/sh", in: folder)).end()
                #expect(status == 0, "\(command): \(output)")
            }
            let run = ["script", "run", "--directory", "a place", "--user", "@ada", "tea-time"]
            #expect(try await Self.run(run, in: folder).output.hasPrefix("Hello, ada!"))
            let refused = try await Self.run(run + ["a", "b"], in: folder)
            #expect(refused.status == (language == "sh" ? 2 : 1))
        }
    }

    @Test func `a folder of plug-ins for CatOps passes its tests and answers`() async throws {
        try await withFolder { folder in
            let (status, output) = try await Self.run(["new", "catops"], in: folder)
            #expect(status == 0, "\(output)")
            let commands = output.components(separatedBy: "\n").filter { $0.hasPrefix("  ") }
            let runnable = commands.filter { $0.contains("python3 ") || $0.contains(" check ") }
            #expect(runnable.count == 2, "\(output)")
            for command in runnable {
                let (status, output) = await (try Program(["-c", "\(command) 2>&1"], of: "/bin/sh", in: folder)).end()
                #expect(status == 0 && !output.contains("warning"), "\(command): \(output)")
            }
            let bot = try Program(["run", "--config", "catops/config.json"], in: folder)
            bot.type("!ping")
            #expect(await bot.line(with: "Meow!") != nil)
            bot.type("!treat Tom --count many")
            #expect(await bot.line(with: "invalid int value") != nil)
            bot.closeInput()
            #expect(await bot.end().status == 0)
        }
    }

    @Test func `names that are taken are reported before chat refuses them`() async throws {
        try await withFolder { folder in
            #expect(try await Self.run(["new", "config"], in: folder).status == 0)
            let taken = try Program(["new", "script", "disk"], in: folder)
            #expect(await taken.error(with: "nothing was changed") != nil)
            #expect(await taken.end().status == 73)
            for name in ["scripts", "help"] {
                let program = try Program(["new", "script", name], in: folder)
                #expect(await program.error(with: "choose another name, such as my-\(name)") != nil)
                #expect(await program.end().status == 64)
            }
            // Without --to, the folder is that of the configuration.
            let configuration = folder.appendingPathComponent("config.json")
            let text = try String(contentsOf: configuration, encoding: .utf8)
            let changed = text.replacing("\"directory\": \"scripts\"", with: "\"directory\": \"elsewhere\"")
            #expect(changed.contains("elsewhere"))
            try Data(changed.utf8).write(to: configuration)
            #expect(try await Self.run(["new", "script", "there"], in: folder).status == 0)
            #expect(FileManager.default.fileExists(atPath: folder.path + "/elsewhere/there.sh"))
            let file = try Program(["script", "run", "elsewhere/there.sh"], in: folder)
            #expect(await file.error(with: "Did you mean there?") != nil)
            #expect(await file.end().status != 0)
            try Data(text.utf8).write(to: configuration)
            #expect(try await Self.run(["new", "script", "hello"], in: folder).status == 0)
            let second = try Program(["new", "script", "hello", "--language", "python"], in: folder)
            #expect(await second.error(with: "scripts/hello.sh, which makes the same command, already exists") != nil)
            #expect(await second.end().status == 73)
            let scripts = folder.appendingPathComponent("scripts")
            for name in ["whoami.sh", "disk", "hello.py"] {
                let file = scripts.appendingPathComponent(name)
                try Data("#!/bin/sh\n".utf8).write(to: file)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
            }
            let check = try await Self.run(["check"], in: folder).output
            #expect(check.contains("whoami.sh: Petrel has a command whoami; rename the file"), "\(check)")
            #expect(check.contains("disk: the section jobs.commands has a command disk"), "\(check)")
            #expect(check.contains("hello.py: hello.sh has the same name"), "\(check)")
            for name in ["whoami", "disk", "hello"] {
                #expect(try await Self.run(["script", "run", name], in: folder).status == 78, "\(name)")
            }
        }
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func `a script that is tried ends with the program`(
        number: Int32
    ) async throws {
        try await withFolder { folder in
            let script = folder.appendingPathComponent("scripts/hang")
            try FileManager.default.createDirectory(
                at: script.deletingLastPathComponent(), withIntermediateDirectories: false)
            try Data("#!/bin/sh\necho pid $$ >&2\nexec sleep 300\n".utf8).write(to: script)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
            let program = try Program(["script", "run", "--directory", "scripts", "hang"], in: folder)
            let line = try #require(await program.error(with: "pid "))
            let process = try #require(line.split(separator: " ").last.flatMap { Int32($0) })
            program.signal(number)
            #expect(await program.end().status == 128 + number)
            // Its end was waited for.
            #expect(kill(process, 0) != 0)
        }
    }

    @Test func `a folder whose scripts Petrel would refuse is reported`() async throws {
        try await withFolder { folder in
            let open = folder.appendingPathComponent("open").path
            try #require(mkdir(open, 0o755) == 0 && chmod(open, 0o777) == 0)
            let new = try Program(["new", "script", "hello", "--to", "open"], in: folder)
            #expect(await new.error(with: "every user of the machine can write to the folder") != nil)
            let (status, output) = await new.end()
            #expect(status == 0 && !output.contains("at once"), "\(output)")
            let usual = try await Self.run(["new", "script", "hello", "--to", "usual"], in: folder)
            #expect(usual.status == 0 && usual.output.contains("at once"), "\(usual.output)")
        }
    }

    @Test func `nothing is overwritten`() async throws {
        try await withFolder { folder in
            let scripts = folder.appendingPathComponent("scripts")
            try FileManager.default.createDirectory(at: scripts, withIntermediateDirectories: false)
            for name in ["config.md", "scripts/_test_a.sh", "scripts/b.sh"] {
                try Data("mine".utf8).write(to: folder.appendingPathComponent(name))
            }
            for arguments in [["config"], ["script", "a"], ["script", "b"]] {
                let program = try Program(["new"] + arguments, in: folder)
                #expect(await program.error(with: "already exists, and nothing was changed") != nil)
                #expect(await program.end().status == 73)
            }
            let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
            #expect(files == ["config.md", "scripts", "scripts/_test_a.sh", "scripts/b.sh"])
            #expect(try String(contentsOf: scripts.appendingPathComponent("b.sh"), encoding: .utf8) == "mine")
        }
    }

    @Test(arguments: [["script"], ["script", "a b"], ["script", "help"], ["script", "a", "--language", "perl"]])
    func `wrong usage creates nothing`(arguments: [String]) async throws {
        try await withFolder { folder in
            let status = try await Self.run(["new"] + arguments, in: folder).status
            #expect(status == 64)
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(files.isEmpty)
        }
    }

    @Test func `a script that does not exist or may not be run is explained`() async throws {
        try await withFolder { folder in
            #expect(try await Self.run(["new", "script", "hello"], in: folder).status == 0)
            let script = folder.appendingPathComponent("scripts/hello.sh").path
            let run = ["script", "run", "--directory", "scripts"]
            let missing = try Program(run + ["helo"], in: folder)
            #expect(await missing.error(with: "There is no script helo in ")?.contains("Did you mean hello?") == true)
            #expect(await missing.end().status == 78)
            try FileManager.default.setAttributes([.posixPermissions: 0o757], ofItemAtPath: script)
            let unsafe = try Program(run + ["hello"], in: folder)
            #expect(await unsafe.error(with: "every user of the machine can write to the file") != nil)
            #expect(await unsafe.end().status == 78)
        }
    }
}
