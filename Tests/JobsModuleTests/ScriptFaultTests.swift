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
            try await folder.run { house in
                let list = await house.ask("!scripts", as: "@root")
                #expect(list.contains("- lines: its lines end with CR LF; save it with LF"), "\(list)")
                #expect(list.contains("- plain: it has no first line such as #!/bin/sh"))
                #expect(list.contains("- picture: it is neither a script nor machine code"))
                #expect(list.contains("- empty: it has no first line such as #!/bin/sh"))
                #expect(list.contains("- gone: the program /nonexistent/program of its first line does not exist"))
                #expect(await house.ask("!good") == "good")
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
                #expect(await house.ask("!wrong").hasPrefix("{"))
                for text in [
                    "typo, job 1: the object has unknown keys, which have no effect: reponse_type.",
                    "large, job 2, is said as text: as JSON, it is limited to 1048576 bytes.",
                    "wrong, job 3, is said as text: the object.mrkdwn is a string, not true or false.",
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
