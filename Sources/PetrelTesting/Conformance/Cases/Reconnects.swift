import PetrelKit
import PetrelSupport

extension BackendConformance {
    /// Cases about connections that are lost.
    static let reconnects: [ConformanceCase] = [
        ConformanceCase("reconnect.receive", "messages after a cut arrive", needs: [.cutting]) { scene in
            try await scene.direct { run in
                try await scene.say("before")
                let before = try await run.next()
                try await scene.reconnect()
                try await scene.say("after")
                let after = try await run.next()
                try scene.expect(after.text, is: "after")
                if scene.stage.abilities.contains(.stableIdentities) {
                    try scene.expect(after.sender.id, is: before.sender.id)
                }
                try scene.expect(after.id != before.id, "another identifier", got: after.id)
            }
        },
        ConformanceCase("reconnect.send", "messages of the bot after a cut are shown", needs: [.cutting]) { scene in
            try await scene.direct { _ in
                try await scene.reconnect()
                try await scene.untilSent("after")
                try scene.expect(try await scene.shown().text, is: "after")
            }
        },
        ConformanceCase("reconnect.pending", "replies during a cut are shown once, in order", needs: [.cutting]) {
            scene in
            try await scene.hosted { host in
                try await scene.stage.set(.cut)
                for number in 1...20 { try host.chat.say(Reply("n\(number)"), at: scene.address()) }
                try await scene.stage.set(.open)
                try await scene.stage.untilConnected()
                let shown = try await scene.shown(through: "n20")
                try scene.expect(shown.lines, is: (1...20).map { "n\($0)" })
                try scene.expect(try await scene.rest(), is: [])
            }
        },
        ConformanceCase("reconnect.thrice", "after each of three cuts, commands are answered", needs: [.cutting]) {
            scene in
            try await scene.hosted { _ in
                for number in 1...3 {
                    try await scene.reconnect()
                    try await scene.say("!echo r\(number)")
                    // The cut may come before the backend knows that an answer was shown, which is then sent again.
                    let lines = try await scene.shown(through: "r\(number)").lines
                    let known = Set((1...number).map { "r\($0)" })
                    try scene.expect(Set(lines).isSubset(of: known), "the answers \(known)", got: "\(lines)")
                }
            }
        },
        ConformanceCase("reconnect.running", "a command that runs during a cut is answered once", needs: [.cutting]) {
            scene in
            let (hasBegun, mayEnd) = (Signal(), Signal())
            let slow = Command("slow", summary: "Wait.") { _ in
                hasBegun.open()
                await mayEnd.wait()
                return Reply("done")
            }
            try await scene.hosted([slow]) { _ in
                try await scene.say("!slow")
                await hasBegun.wait()
                try await scene.stage.set(.cut)
                mayEnd.open()
                try await scene.stage.set(.open)
                try await scene.stage.untilConnected()
                try scene.expect(try await scene.shown().text, is: "done")
                try scene.expect(try await scene.rest(), is: [])
            }
        },
        ConformanceCase("restart.direct", "a stopped backend runs again", needs: [.restarting]) { scene in
            for number in 1...3 {
                try await scene.direct { run in
                    try await scene.say("m\(number)")
                    try scene.expect(try await run.next().text, is: "m\(number)")
                    _ = try await scene.backend.send(Reply("r\(number)"), to: scene.address())
                    try scene.expect(try await scene.shown().text, is: "r\(number)")
                }
            }
        },
        ConformanceCase("restart.hosted", "a backend serves one host after another", needs: [.restarting]) { scene in
            for number in 1...2 {
                try await scene.hosted { _ in
                    try await scene.say("!echo r\(number)")
                    try scene.expect(try await scene.shown().text, is: "r\(number)")
                }
            }
        },
    ]
}
