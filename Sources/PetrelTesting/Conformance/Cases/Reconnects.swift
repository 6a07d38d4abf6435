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
                try scene.expect(after.text, is: "after", "the text that is delivered")
                if scene.stage.abilities.contains(.stableIdentities) {
                    try scene.expect(after.sender.id, is: before.sender.id, "the sender")
                }
                try scene.expect(after.id != before.id, "another identifier", got: after.id)
            }
        },
        ConformanceCase("reconnect.send", "messages of the bot after a cut are shown", needs: [.cutting]) { scene in
            try await scene.direct { _ in
                try await scene.reconnect()
                try await scene.untilSent("after")
                try scene.expect(try await scene.shown().text, is: "after", "the text that is shown")
            }
        },
        ConformanceCase("reconnect.pending", "replies during a cut are shown once, in order", needs: [.cutting]) {
            scene in
            try await scene.hosted { host in
                try await scene.stage.set(.cut)
                for number in 1...20 { try host.chat.say(Reply("n\(number)"), at: scene.address()) }
                try await scene.stage.set(.open)
                try await scene.untilConnected()
                let shown = try await scene.shown(through: "n20")
                try scene.expect(shown.lines, is: (1...20).map { "n\($0)" }, "the lines that are shown")
                try scene.expect(try await scene.rest(), is: [], "further messages of the bot")
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
                    try scene.expect(
                        Set(lines).isSubset(of: known), "only the answers \(known.sorted())", got: "\(lines)")
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
                try await scene.untilConnected()
                try scene.expect(try await scene.shown().text, is: "done", "the text that is shown")
                try scene.expect(try await scene.rest(), is: [], "further messages of the bot")
            }
        },
        ConformanceCase("restart.direct", "a stopped backend runs again", needs: [.restarting]) { scene in
            for number in 1...3 {
                try await scene.direct { run in
                    try await scene.say("m\(number)")
                    try scene.expect(try await run.next().text, is: "m\(number)", "the text that is delivered")
                    _ = try await scene.backend.send(Reply("r\(number)"), to: scene.address())
                    try scene.expect(try await scene.shown().text, is: "r\(number)", "the text that is shown")
                }
            }
        },
        ConformanceCase("restart.hosted", "a backend serves one host after another", needs: [.restarting]) { scene in
            for number in 1...2 {
                try await scene.hosted { _ in
                    try await scene.say("!echo r\(number)")
                    try scene.expect(try await scene.shown().text, is: "r\(number)", "the text that is shown")
                }
            }
        },
    ]
}
