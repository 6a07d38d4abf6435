import PetrelKit

extension BackendConformance {
    /// Cases about texts that are longer than one message.
    static let longTexts: [ConformanceCase] = [
        ConformanceCase("long.lines", "ten times the maximum length arrives completely and in order") { scene in
            let lines = scene.manyLines
            try await scene.hosted { host in
                try host.chat.say(Reply(lines.joined(separator: "\n")), at: scene.address())
                try scene.expect(try await scene.rest().lines, is: lines, "the lines that are shown")
            }
        },
        ConformanceCase("long.unbroken", "a line that is longer than a message loses no scalar") { scene in
            let text = scene.unbroken("0123456789äß€")
            try await scene.hosted { host in
                try host.chat.say(Reply(text), at: scene.address())
                try scene.expect(text: try await scene.rest().map(\.text).joined(), is: text)
            }
        },
        ConformanceCase("long.clusters", "no message ends within an emoji or between a letter and its marks") { scene in
            let cluster = "👨‍👩‍👧‍👦e\u{301}🇩🇪"
            let text = scene.unbroken(cluster)
            try await scene.hosted { host in
                try host.chat.say(Reply(text), at: scene.address())
                let shown = try await scene.rest()
                try scene.expect(text: shown.map(\.text).joined(), is: text)
                for part in shown {
                    let first = part.text.unicodeScalars.first
                    try scene.expect(
                        first != "\u{200D}" && first != "\u{301}", "a whole character at the start", got: part.text)
                }
            }
        },
        ConformanceCase("long.fence", "a fence that spans several messages is closed in each of them") { scene in
            let lines = scene.manyLines
            try await scene.hosted { host in
                let text = "```\n" + lines.joined(separator: "\n") + "\n```"
                try host.chat.say(Reply(text), at: scene.address())
                let shown = try await scene.rest()
                // Some services show each line as a message.
                for part in shown where part.file == nil && [part].lines.count > 1 {
                    let marks = [part].lines.count { $0.hasPrefix("```") }
                    try scene.expect(marks, is: 2, "the number of fences")
                }
                try scene.expect(shown.lines.filter { !$0.hasPrefix("```") }, is: lines, "the lines between the fences")
            }
        },
        ConformanceCase("long.exact", "a text of the maximum length is sent as it is, also if it has to be escaped") {
            scene in
            let most = min(scene.stage.traits.maximumLength, 100_000)
            let texts = ["x", "&", "ä", "𝔘", "\""].map { String(repeating: $0, count: most) }
            try await scene.direct { _ in
                for text in texts {
                    _ = try await scene.backend.send(Reply(text), to: scene.address())
                    var got = ""
                    while got.unicodeScalars.count < most { got += try await scene.shown().text }
                    try scene.expect(text: got, is: text)
                }
            }
        },
        ConformanceCase("long.next", "a message after a long one is shown after it") { scene in
            let lines = scene.manyLines
            try await scene.hosted { host in
                try host.chat.say(Reply(lines.joined(separator: "\n")), at: scene.address())
                try host.chat.say(Reply("next"), at: scene.address())
                let shown = try await scene.shown(through: "next")
                try scene.expect(shown.lines.last, is: "next", "the last line")
                try scene.expect(shown.lines.count, is: lines.count + 1, "the number of lines that are shown")
            }
        },
        ConformanceCase(
            "long.private", "a long private text is visible to one person only", needs: [.privateReplies, .rooms]
        ) { scene in
            let lines = Array(scene.manyLines.prefix(500))
            let secret = Command("secret", summary: "Send a secret.") { _ in
                Reply(lines.joined(separator: "\n"), isPrivate: true)
            }
            try await scene.hosted([secret]) { _ in
                try await scene.say("!secret")
                var got: [String] = []
                while got.count < lines.count {
                    let shown = try await scene.shown()
                    try scene.expect(
                        shown.reader == scene.alice || shown.place == .direct(scene.alice), "a private message",
                        got: "\(shown)")
                    got += [shown].lines
                }
                try scene.expect(got, is: lines, "the lines that are shown")
            }
        },
        ConformanceCase("file.content", "a file arrives with its content", needs: [.files]) { scene in
            let text = OddText.all.map(\.text).joined(separator: "\n") + scene.manyLines.joined(separator: "\n")
            try await scene.direct { _ in
                guard let files = scene.backend as? any FileSending else { return }
                // Some backends discover at run time that the service takes files.
                try await withDeadline(DirectRun.patience, "`traits.files`") {
                    while !files.traits.files { await Task.yield() }
                }
                _ = try await files.send(file: "petrel.txt", Reply(text), to: scene.address())
                let shown = try await scene.shown()
                try scene.expect(shown.file != nil, "a file", got: "a message")
                try scene.expect(text: shown.text, is: text)
            }
        },
    ]
}

extension ConformanceScene {
    /// The size of a long text, in scalars: ten messages, or three if they are large.
    private var longSize: Int {
        let most = stage.traits.maximumLength
        return most > 100_000 ? 2 * most + 1_000 : 10 * most
    }

    /// Numbered lines that together are longer than a message.
    fileprivate var manyLines: [String] {
        let words = String(repeating: "some words ", count: 15)
        return (0..<(longSize / 170)).map { "\($0) \(words)end" }
    }

    /// A long text of the same part over and over, without line breaks.
    fileprivate func unbroken(_ part: String) -> String {
        String(repeating: part, count: longSize / part.unicodeScalars.count)
    }
}
