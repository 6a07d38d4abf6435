import Foundation
import JobsModule
import PetrelKit
import PetrelSupport
import PetrelTesting
import Testing

/// Mistakes in scripts and in what they print.
@Suite(.timeLimit(.minutes(20))) struct ScriptFaultTests {
    @Test func `A first line with which the system cannot start a script is reported`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("good", "echo good")
            try folder.write("lines", "#!/bin/sh\r\necho x\r")
            try folder.write("plain", "echo x")
            try folder.write("empty", "")
            try Data([0x89, 0x50, 0x4E, 0x47, 0x00]).write(to: folder.url.appendingPathComponent("picture"))
            try folder.setPermissions(0o755, of: "picture")
            try folder.write("gone", "#! /nonexistent/program -x\necho x")
            try folder.write("passive", "#!/etc/passwd\necho x")
            try folder.write("folder", "#!/tmp\necho x")
            try folder.write("marked", "\u{FEFF}#!/bin/sh\necho x")
            try Data([0xCA, 0xFE, 0xBA, 0xBE, 0x00]).write(to: folder.url.appendingPathComponent("java"))
            try folder.setPermissions(0o755, of: "java")
            for name in ["x.old", "x.save", "x.swo", "x.ucf-dist", "x.dpkg-tmp"] { try folder.sh(name, "echo x") }
            try folder.sh("a\nb", "echo x")
            try folder.sh("z\u{200B}w", "echo x")
            try await folder.run { house in
                let list = await house.ask("!scripts", as: "@root")
                #expect(list.contains("- lines: its lines end with CR LF; save it with LF"), "\(list)")
                #expect(list.contains("- plain: it has no first line such as #!/bin/sh"))
                #expect(list.contains("- picture: it is neither a script nor machine code"))
                #expect(list.contains("- empty: it has no first line such as #!/bin/sh"))
                #expect(list.contains("- gone: the program /nonexistent/program of its first line does not exist"))
                #expect(list.contains("- passive: the program /etc/passwd of its first line cannot be executed"))
                #expect(list.contains("- folder: the program /tmp of its first line is not a file"))
                #expect(list.contains("- marked: it begins with a byte order mark"))
                #expect(list.contains("- java: it is neither a script nor machine code") && !list.contains("x (x"))
                #expect(list.contains("- a<U+000A>b: the name") && list.contains("- z<U+200B>w: the name"), "\(list)")
                #expect(await house.ask("!good") == "good")
            }
        }
    }

    @Test func `A link to the folder itself adds nothing, and a file that is reached twice is one`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("one", "echo one")
            try folder.sh("tools/two", "echo two")
            for (path, target) in [("self", "."), ("all", "../scripts"), ("more", "tools"), ("other", "one")] {
                #expect(symlink(target, "\(folder.path)/\(path)") == 0)
            }
            try await folder.run { house in
                #expect(await house.ask("!one") == "one")
                #expect(await house.ask("!two") == "two")
                #expect(await house.ask("!other") == "one")
                let list = await house.ask("!scripts", as: "@root")
                #expect(list.contains("3 loaded") && !list.contains("problems"), "\(list)")
                #expect(list.contains("- one (one)") && list.contains("- two (more/two)"), "\(list)")
                try folder.sh("tools/one", "echo another")
                let problem = "- one: more/one, tools/one have the same name; none of them is loaded"
                let later = await house.ask("!scripts", as: "@root", containing: "problems")
                #expect(later.contains("- one: more/one has the same name") && !later.contains(problem), "\(later)")
            }
        }
    }

    @Test func `Patterns are compared as names of commands are`() async throws {
        try await ScriptFolder.with { folder in
            for name in ["_cafe\u{301}", "DB-drop", "web_prod", "web_test", "other"] {
                try folder.sh(name, "echo x")
            }
            #expect(rename("\(folder.path)/_cafe\u{301}", "\(folder.path)/cafe\u{301}") == 0)
            try await folder.run(["deny": ["caf\u{E9}", "db-*", "WEB Prod"]]) { house in
                let list = await house.ask("!scripts", as: "@root")
                #expect(list.contains("2 loaded") && list.contains("- other") && list.contains("- web_test"), "\(list)")
            }
            try await folder.run(["allow": ["caf\u{E9}", "DB*", "web test"]]) { house in
                #expect(await house.ask("!scripts", as: "@root").contains("3 loaded"))
            }
        }
    }

    @Test(arguments: ["acl_why", "jobs_mine", "help_say", "scripts_x"])
    func `A script that would take the arguments of a built-in command is not loaded`(name: String) async throws {
        try await ScriptFolder.with { folder in
            try folder.sh(name + ".sh", "echo taken")
            try folder.sh("show_disk", "echo disk")
            try await folder.run { house in
                let list = await house.ask("!scripts", as: "@root")
                #expect(list.contains("1 loaded") && list.contains("whose arguments it would take"), "\(list)")
                let words = name.replacing("_", with: " ")
                #expect(await !house.ask("!\(words)", as: "@root").contains("taken"))
                #expect(await house.ask("!show disk") == "disk")
            }
        }
    }

    @Test func `A name that begins with another one and a word is reported`() async throws {
        try await ScriptFolder.with { folder in
            for name in ["deploy", "deploy_prod.sh", "other"] { try folder.sh(name, "echo \(name) \"$@\"") }
            try await folder.run { house in
                #expect(await house.ask("!deploy prod web") == "deploy_prod.sh web")
                let list = await house.ask("!scripts", as: "@root")
                let remark = "1 with problems:\n- deploy_prod.sh: “deploy prod” calls it, and not deploy"
                #expect(list.contains(remark), "\(list)")
            }
        }
    }

    @Test func `Two files whose names are equal as texts make one command, and are not loaded`() async throws {
        try await ScriptFolder.with { folder in
            // By the system's function: Foundation may change the form of a name.
            for (name, word) in [("caf\u{E9}", "composed"), ("cafe\u{301}", "decomposed")] {
                try folder.sh("_new", "echo \(word)")
                #expect(rename(folder.path + "/_new", folder.path + "/" + name) == 0)
            }
            try await folder.run { house in
                let list = await house.ask("!scripts", as: "@root")
                let problem = "another Unicode form of the name has the same name; none of them is loaded"
                #expect(list.components(separatedBy: problem).count == 3, "\(list)")
                #expect(await house.ask("!caf\u{E9}").hasPrefix("Unknown command"))
                #expect(unlink(folder.path + "/cafe\u{301}") == 0)
                #expect(await house.ask("!caf\u{E9}", until: "composed") == "composed")
            }
        }
    }

    @Test func `A safe folder tells nothing about one whose name is equal as a text`() async throws {
        try await ScriptFolder.with { folder in
            for (name, permissions) in [("caf\u{E9}", mode_t(0o755)), ("cafe\u{301}", 0o777)] {
                #expect(mkdir(folder.path + "/" + name, 0o755) == 0)
                try folder.sh("_new", "echo \(permissions)")
                #expect(rename(folder.path + "/_new", "\(folder.path)/\(name)/in\(permissions)") == 0)
                #expect(chmod(folder.path + "/" + name, permissions) == 0)
            }
            try await folder.run { house in
                #expect(await house.ask("!in\(0o755)") == "\(0o755)")
                #expect(await house.ask("!in\(0o777)").hasPrefix("Unknown command"))
            }
        }
    }

    @Test func `A link that others can replace is refused`() async throws {
        try await ScriptFolder.with { folder in
            let beside = folder.url.deletingLastPathComponent()
            func link(_ path: String, to target: String) throws {
                try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
            }
            let open = beside.appendingPathComponent("open").path
            try FileManager.default.createDirectory(atPath: open, withIntermediateDirectories: true)
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: open)
            try folder.sh("_real", "echo real")
            try link("\(open)/middle", to: "\(folder.path)/_real")
            try link("\(folder.path)/chain", to: "../open/middle")
            try link("\(folder.path)/fine", to: "_real")
            try link("\(folder.path)/loop", to: "loop")
            try await folder.run { house in
                #expect(await house.ask("!fine") == "real")
                let list = await house.ask("!scripts", as: "@root")
                #expect(
                    list.contains("- chain: every user of the machine can write to the folder \(open)"), "\(list)")
                #expect(list.contains("- loop: it cannot be read: Too many levels"))
            }
            try link("\(open)/scripts", to: folder.path)
            let settings: JSONValue = ["directory": .string("\(open)/scripts"), "auth_strategy": "any"]
            try await JobsHouse(["scripts": settings]).run { house in
                #expect(await house.ask("!fine").hasPrefix("Unknown command"))
            }
        }
    }

    @Test func `A file that makes no command is not asked for its help`() async throws {
        try await ScriptFolder.with { folder in
            let marker = folder.url.deletingLastPathComponent().appendingPathComponent("ran").path
            let asked = folder.url.deletingLastPathComponent().appendingPathComponent("asked").path
            for name in ["help", "twice.sh", "twice.bash"] { try folder.sh(name, "# --petrel-help\ntouch \(marker)") }
            // The option is at a place where two pieces of the file meet.
            let padding = String(repeating: "#", count: 256 * 1_024 - 16)
            try folder.sh("final", "\(padding) --petrel-help\ntouch \(asked)\necho '{\"summary\": \"Asked.\"}'")
            try await folder.run { house in
                let end = ContinuousClock.now + RecordingBackend.patience
                while !(await house.ask("!help final")).contains("Asked."), ContinuousClock.now < end {
                    try await folder.renew(slowIn: house)
                }
                #expect(FileManager.default.fileExists(atPath: asked))
                #expect(!FileManager.default.fileExists(atPath: marker))
            }
        }
    }

    @Test func `The text of a call without arguments is the name`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("call", "exec cat >\"$PWD/.seen\"")
            try await folder.run { house in
                house.backend.type("!call")
                #expect(await house.backend.nextSettled() == "job 1")
                let seen = try Data(contentsOf: folder.url.appendingPathComponent(".seen"))
                #expect(try JSONValue.parse(seen)["text"] == "call")
            }
        }
    }

    @Test func `Long output is cut at a character, and a byte order mark is ignored`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh(
                "long", "printf x; i=0; while [ $i -lt 400 ]; do printf 'ééééééééééééééééééééééééé'; i=$((i+1)); done")
            try folder.sh("mark", #"printf '\357\273\277{"text": "marked"}'"#)
            try folder.sh("fail", "printf 'ééééééééééééééééééééééééé%.0s' $(seq 200); exit 1")
            try await folder.run { house in
                let long = await house.ask("!long")
                #expect(long.hasPrefix("xéé") && long.contains("é\n… The output has") && !long.contains("\u{FFFD}"))
                #expect(await house.ask("!mark") == "marked")
                let failed = await house.ask("!fail")
                #expect(failed.contains("éé") && !failed.contains("\u{FFFD}"))
            }
        }
    }

    @Test func `Unknown keys of a reply and JSON that is too long are logged`() async throws {
        try await ScriptFolder.with { folder in
            try folder.sh("typo", #"echo '{"text": "x", "reponse_type": "ephemeral", "statusCode": 200}'"#)
            try folder.sh("large", #"printf '{"text": "'; head -c 1100000 /dev/zero | tr '\0' x; echo '"}'"#)
            try folder.sh("wrong", #"echo '{"text": "x", "mrkdwn": "yes"}'"#)
            let lines = Locked<[String]>([])
            try await folder.run(lines: lines) { house in
                #expect(await house.ask("!typo") == "x")
                #expect(await house.ask("!large").hasPrefix(#"{"text": "xx"#))
                #expect(await house.ask("!wrong") == "x")
                for text in [
                    "typo, job 1: the object has unknown keys, which have no effect: reponse_type.",
                    "large, job 2, is said as text: as JSON, it is limited to 1048576 bytes.",
                    "wrong, job 3: the object.mrkdwn is a string, not true or false, and was left out.",
                ] {
                    #expect(lines.value.contains { $0.contains("The output of \(text)") }, "\(lines.value)")
                }
            }
        }
    }

    @Test func `A file behind a link, and a folder that a link names, are watched`() async throws {
        try await ScriptFolder.with { folder in
            let beside = folder.url.deletingLastPathComponent()
            func release(_ name: String) throws -> ScriptFolder {
                let release = ScriptFolder(url: beside.appendingPathComponent(name))
                try release.sh("\(name)", "echo \(name)")
                return release
            }
            let (one, two) = (try release("one"), try release("two"))
            let current = beside.appendingPathComponent("current").path
            try FileManager.default.createSymbolicLink(atPath: current, withDestinationPath: one.path)
            try one.sh("linked", "# petrel: First.")
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder.path)/linked", withDestinationPath: "\(one.path)/linked")
            try await folder.run { house in
                #expect(await house.ask("!help linked").contains("First."))
                try one.sh("linked", "# petrel: Second.")
                let end = ContinuousClock.now + RecordingBackend.patience
                while !(await house.ask("!help linked")).contains("Second."), ContinuousClock.now < end {}
                #expect(await house.ask("!help linked").contains("Second."))
            }
            try await JobsHouse(["scripts": ["directory": .string(current), "auth_strategy": "any"]]).run { house in
                #expect(await house.ask("!one") == "one")
                try FileManager.default.createSymbolicLink(atPath: current + "2", withDestinationPath: two.path)
                #expect(rename(current + "2", current) == 0)
                #expect(await house.ask("!two", until: "two") == "two")
                #expect(await house.ask("!one", until: "Unknown").hasPrefix("Unknown command"))
            }
        }
    }

    @Test func `Names that are taken are told with their folders`() async throws {
        try await ScriptFolder.with { folder in
            let other = ScriptFolder(url: folder.url.deletingLastPathComponent().appendingPathComponent("other"))
            for place in [folder, other] { try place.sh("one", "echo one") }
            let scripts: JSONValue = .array(
                [folder, other].map { ["directory": .string($0.path), "auth_strategy": "any"] })
            try await JobsHouse(["scripts": scripts]).run { house in
                let list = await house.ask("!scripts", as: "@root")
                #expect(
                    list.contains("- \(folder.path)/one: \(other.path)/one has the same name; none of them is loaded"))
                #expect(await house.ask("!one").hasPrefix("Unknown command"))
            }
        }
    }
}
