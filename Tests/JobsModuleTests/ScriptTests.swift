import Foundation
import JobsModule
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// Commands that are files in a folder.
@Suite(.timeLimit(.minutes(20))) struct ScriptTests {
    @Test func `Scripts in three languages are commands, and change without a restart`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("hello.sh", "# petrel: Greet.\necho \"sh $1\"")
            try folder.write("count.py", "#!/usr/bin/env python3\nimport sys\nprint('python', len(sys.argv))")
            try folder.write("tools/words.pl", "#!/usr/bin/env perl\nprint join(' ', 'perl', @ARGV);")
            try await folder.run { house in
                #expect(await house.ask("!hello 'a b'") == "sh a b")
                #expect(await house.ask("!count a b") == "python 3")
                #expect(await house.ask("!words $HOME `x y`") == "perl $HOME x y")
                #expect(await house.ask("!help hello").contains("Greet."))
                try folder.sh("hello.sh", "echo changed")
                #expect(await house.ask("!hello", until: "changed") == "changed")
                try folder.write("count.py", "#!/usr/bin/env python3\nprint('new')")
                #expect(await house.ask("!count", until: "new") == "new")
                try folder.sh("later", "echo later")
                #expect(await house.ask("!later", until: "later") == "later")
                try folder.sh("new/inner", "echo inner")
                #expect(await house.ask("!inner", until: "inner") == "inner")
                try folder.remove("tools/words.pl")
                #expect(await house.ask("!words", until: "Unknown command").hasPrefix("Unknown command"))
                try folder.remove("new")
                #expect(await house.ask("!inner", until: "Unknown command").hasPrefix("Unknown command"))
            }
        }
    }

    @Test func `A folder that appears later, or is replaced, is noticed`() async throws {
        try await ScriptFolder.with { folder in
            let moved = folder.url.deletingLastPathComponent().appendingPathComponent("moved")
            try FileManager.default.moveItem(at: folder.url, to: moved)
            try await folder.run { house in
                #expect(await house.ask("!scripts", as: "@root").contains("the folder cannot be read"))
                try folder.sh("sub/one", "echo one")
                #expect(await house.ask("!one", until: "one") == "one")
                try FileManager.default.removeItem(at: folder.url)
                #expect(await house.ask("!one", until: "Unknown command").hasPrefix("Unknown command"))
            }
        }
    }

    @Test func `Nobody may run a script unless the settings say so`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("hello", "echo hello")
            try await JobsHouse(["scripts": ["directory": .string(folder.path)]]).run { house in
                #expect(await house.ask("!hello").contains("jobs.scripts.auth_strategy is none"))
            }
            try await folder.run(["allow": ["he*", "x"], "deny": ["*x*"]]) { house in
                #expect(await house.ask("!hello") == "hello")
                try folder.sh("hex", "echo hex")
                try folder.sh("other", "echo other")
                try folder.sh("help2", "echo help2")
                #expect(await house.ask("!help2", until: "help2") == "help2")
                for name in ["hex", "other"] { #expect(await house.ask("!\(name)").hasPrefix("Unknown command")) }
            }
        }
    }

    @Test func `Access rules apply to scripts, and jobs are recorded`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("deploy.sh", "echo \"$1\"; echo aside >&2")
            try await folder.run(["secrets": [2]], rules: [["command": "deploy*", "denyargs": ["*prod*"]]]) { house in
                #expect(await house.ask("!deploy test s3cret") == "test")
                #expect(await house.ask("!deploy prod").contains("access_controls[0]"))
                #expect(await house.ask("!logs 1").contains("aside"))
                #expect(await house.ask("!job 1").contains(#"* Args "test" "•••""#))
            }
        }
    }

    @Test func `Names that are taken or double are reported and not loaded`() async throws {
        try await ScriptFolder.with { folder in
            for name in ["help.sh", "jobs", "one.sh", "deploy", "twice.sh", "sub/Twice.py", "a b.sh", "scripts.sh"] {
                try folder.sh(name, "echo \(name)")
            }
            for name in ["_private", ".hidden", "_private2/x", "sub/deeper/y", "old.sh~", "z.bak"] {
                try folder.sh(name, "echo \(name)")
            }
            try folder.sh("plain.sh", "echo plain", permissions: 0o644)
            try folder.write("readme.md", "text", permissions: 0o644)
            let commands: JSONValue = ["deploy": ["command": "echo", "args": ["ours"], "auth_strategy": "any"]]
            try await folder.run(jobs: ["commands": commands]) { house in
                let list = await house.ask("!scripts", as: "@root")
                #expect(list.contains("1 loaded from") && list.contains("- one (one.sh)"), "\(list)")
                #expect(list.contains("- help.sh: Petrel has a command help; rename the file"))
                #expect(list.contains("- jobs: Petrel has a command jobs"))
                #expect(list.contains("- scripts.sh: Petrel has a command scripts"))
                #expect(list.contains("- deploy: the section jobs.commands has a command deploy"))
                #expect(list.contains("- twice.sh: sub/Twice.py has the same name; none of them is loaded"))
                #expect(list.contains("- sub/Twice.py: twice.sh has the same name"))
                #expect(list.contains("- a b.sh: the name is not a name: use one word"))
                #expect(list.contains("- plain.sh: it is not executable; run chmod +x on it"))
                #expect(list.contains("8 with problems"), "\(list)")
                #expect(await house.ask("!help").contains("whoami"))
                for name in ["_private", "private2", "x", "y", "old", "z", "twice", "readme"] {
                    #expect(await house.ask("!\(name)").hasPrefix("Unknown command"), "\(name)")
                }
            }
        }
    }

    @Test func `What others can write is refused, also after it was loaded`() async throws {
        try await ScriptFolder.with { folder in
            for name in ["good", "bad", "open/inner"] { try folder.sh(name, "echo \(name)") }
            try folder.setPermissions(0o757, of: "bad")
            try folder.setPermissions(0o777, of: "open")
            try await folder.run { house in
                let list = await house.ask("!scripts", as: "@root")
                #expect(list.contains("- bad: every user of the machine can write to the file"), "\(list)")
                #expect(list.contains("- open/: every user of the machine can write to the folder"), "\(list)")
                for name in ["bad", "inner"] { #expect(await house.ask("!\(name)").hasPrefix("Unknown command")) }
                #expect(await house.ask("!good") == "good")
                try folder.setPermissions(0o777, of: "good")
                // The change may not be noticed yet, but the file does not run in any case.
                let reply = await house.ask("!good")
                #expect(
                    reply.hasPrefix("Unknown command")
                        || reply.hasPrefix("good was not started: every user of the machine can write to the file"))
                try folder.setPermissions(0o755, of: "good")
                try folder.setPermissions(0o755, of: "open")
                #expect(await house.ask("!inner", until: "open/inner") == "open/inner")
                #expect(await house.ask("!good", until: "good") == "good")
                try folder.setPermissions(0o777)
                #expect(!(await house.ask("!good")).hasPrefix("good\n"))
                let refused = await house.ask("!good", until: "Unknown command")
                #expect(refused.hasPrefix("Unknown command"))
            }
        }
    }

    #if os(Linux)
        @Test func `A name that is not UTF-8 is reported and not loaded`() async throws {
            try await ScriptFolder.with { folder in
                try folder.sh("good", "echo good")
                let path = Array("\(folder.path)/caf".utf8) + [0xE9, 0x2E, 0x73, 0x68, 0]
                let descriptor = open(path.map { CChar(bitPattern: $0) }, O_CREAT | O_WRONLY, 0o755)
                #expect(descriptor >= 0)
                close(descriptor)
                try await folder.run { house in
                    #expect(await house.ask("!good") == "good")
                    let list = await house.ask("!scripts", as: "@root")
                    #expect(list.contains("- caf\u{FFFD}.sh: its name is not UTF-8; rename it"), "\(list)")
                }
            }
        }
    #endif

    @Test func `A folder of 2,000 scripts is loaded, and a change of one is noticed`() async throws {
        try await ScriptFolder.with { folder in
            for number in 0..<2_000 { try folder.sh("c\(number).sh", "# petrel: Number \(number).\necho \(number)") }
            try await folder.run { house in
                for number in [0, 999, 1_999] { #expect(await house.ask("!c\(number)") == "\(number)") }
                try folder.sh("c1999.sh", "echo changed")
                #expect(await house.ask("!c1999", until: "changed") == "changed")
                #expect(await house.ask("!scripts", as: "@root").contains("2000 loaded"))
                #expect(await house.ask("!c1500x").contains("Did you mean"))
            }
        }
    }

    @Test func `A script describes itself, and is asked only if it offers that`() async throws {
        try await ScriptFolder.with { folder in
            let marker = folder.url.deletingLastPathComponent().appendingPathComponent("ran").path
            try folder.sh("reboot", "touch \(marker)")
            try folder.sh(
                "deploy",
                """
                # petrel: A comment.
                if [ "$1" = --petrel-help ]; then
                    echo '{"summary": "Deploy an app.", "arguments": ["app", {"name": "version", "summary": "a tag"}],'
                    echo ' "examples": ["deploy web 1.2", "api 2"], "suggestions": ["deploy --list"]}'
                    exit
                fi
                echo deployed
                """)
            try folder.sh("broken", "# petrel: Broken help.\n[ \"$1\" = --petrel-help ] && echo '{'\nexit 0")
            try await folder.run { house in
                let end = ContinuousClock.now + RecordingBackend.patience
                var help = ""
                repeat {
                    help = await house.ask("!help deploy")
                    try await folder.renew(slowIn: house)
                } while !help.contains("tag") && ContinuousClock.now < end
                #expect(help.contains("Deploy an app.") && help.contains("- version: a tag"), "\(help)")
                #expect(help.contains("- !deploy web 1.2") && help.contains("- !deploy api 2"))
                var list = ""
                repeat {
                    list = await house.ask("!scripts", as: "@root")
                    try await folder.renew(slowIn: house)
                } while !list.contains("it is not valid JSON") && ContinuousClock.now < end
                #expect(list.contains("- broken: its answer to --petrel-help cannot be used: it is not valid JSON"))
                #expect(list.contains("- broken (broken): Broken help."))
                #expect(await house.ask("!deploy") == "deployed")
                #expect(!FileManager.default.fileExists(atPath: marker))
            }
        }
    }
}
