import PetrelKit
import PetrelSupport

extension BackendConformance {
    /// Cases about answers to commands, with a host.
    static let answers: [ConformanceCase] = [
        ConformanceCase("answer.place", "a command is answered in the place where it was typed") { scene in
            try await scene.hosted { _ in
                for place in scene.places {
                    try await scene.say("!echo hello", at: place)
                    let shown = try await scene.shown()
                    try scene.expect(shown.place, is: place, "the place where it is shown")
                    try scene.expect(shown.text, is: "hello", "the text that is shown")
                }
            }
        },
        ConformanceCase("answer.thread", "a command in a thread is answered there", needs: [.threads]) { scene in
            try await scene.hosted { _ in
                let thread = try await scene.say("!echo thread")
                _ = try await scene.shown()
                try await scene.say("!echo inside", thread: thread)
                let shown = try await scene.shown()
                try scene.expect(shown.thread, is: thread, "the thread in which it is shown")
                try await scene.say("!echo outside")
                try scene.expect(try await scene.shown().thread, is: nil, "the thread in which it is shown")
            }
        },
        ConformanceCase("answer.order", "200 replies in one place are shown in order") { scene in
            try await scene.hosted { _ in
                try await scene.say("!burst 200")
                let shown = try await scene.shown(through: "n200")
                try scene.expect(shown.lines, is: (1...200).map { "n\($0)" }, "the lines that are shown")
            }
        },
        ConformanceCase("answer.places", "50 replies in each place are shown in the order of the place") { scene in
            try await scene.hosted { host in
                let places = scene.places
                for number in 1...50 {
                    for place in places { try host.chat.say(Reply("n\(number)"), at: scene.address(place)) }
                }
                var texts: [Address.Place: [String]] = [:]
                while texts.values.map(\.count).reduce(0, +) < 50 * places.count {
                    let shown = try await scene.shown()
                    texts[shown.place, default: []] += [shown].lines
                }
                for place in places {
                    try scene.expect(texts[place] ?? [], is: (1...50).map { "n\($0)" }, "the lines in \(place.words)")
                }
            }
        },
        ConformanceCase("answer.both", "replies to two people in one room reach both", needs: [.people, .rooms]) {
            scene in
            try await scene.hosted { _ in
                for number in 0..<20 {
                    try await scene.say("!echo a\(number)", as: scene.alice)
                    try await scene.say("!echo b\(number)", as: scene.bob)
                }
                var lines: [String] = []
                while lines.count < 40 { lines += [try await scene.shown()].lines }
                for person in ["a", "b"] {
                    try scene.expect(
                        Set(lines.filter { $0.hasPrefix(person) }).count, is: 20, "the number of replies to one person")
                }
            }
        },
        ConformanceCase("answer.refusal", "a refusal is shown to the person") { scene in
            try await scene.hosted { _ in
                try await scene.say("!refuse")
                let shown = try await scene.shown()
                try scene.expect(shown.text.holds("This is refused; use echo."), "the refusal", got: shown.text)
            }
        },
        ConformanceCase("answer.error", "an unexpected error is answered without its details") { scene in
            try await scene.hosted { _ in
                try await scene.say("!crash")
                let shown = try await scene.shown()
                try scene.expect(!shown.text.isEmpty, "an answer", got: "an empty text")
                try scene.expect(!shown.text.holds("internal details"), "no details", got: shown.text)
            }
        },
        ConformanceCase(
            "private.room", "a private answer in a room is visible to one person only",
            needs: [.privateReplies, .rooms]
        ) { scene in
            try await scene.hosted { _ in
                try await scene.say("!whisper for alice")
                try scene.isOnly(for: scene.alice, try await scene.shown(), "for alice")
                try await scene.say("!echo for all")
                try scene.expect(try await scene.shown().reader, is: nil, "the only person who sees it")
            }
        },
        ConformanceCase(
            "private.people", "each person sees only their own private answers",
            needs: [.privateReplies, .rooms, .people]
        ) { scene in
            try await scene.hosted { _ in
                for (person, text) in [(scene.alice, "for alice"), (scene.bob, "for bob")] {
                    try await scene.say("!whisper \(text)", as: person)
                    try scene.isOnly(for: person, try await scene.shown(), text)
                }
            }
        },
        ConformanceCase("private.direct", "a private answer in a direct chat stays there", needs: [.direct]) { scene in
            try await scene.hosted { _ in
                try await scene.say("!whisper quiet", at: .direct(scene.alice))
                let shown = try await scene.shown()
                try scene.expect(shown.place, is: .direct(scene.alice), "the place where it is shown")
                try scene.expect(shown.text, is: "quiet", "the text that is shown")
            }
        },
        ConformanceCase(
            "private.confidential", "a confidential reply in a room is visible to one person only",
            needs: [.privateReplies, .rooms]
        ) { scene in
            let secret = Command("secret", summary: "Send a secret.") { _ in Reply("key 42", isConfidential: true) }
            try await scene.hosted([secret]) { _ in
                try await scene.say("!secret")
                try scene.isOnly(for: scene.alice, try await scene.shown(), "key 42")
            }
        },
        ConformanceCase(
            "private.unknown", "a private reply to nobody in particular is not shown to everybody",
            needs: [.privateReplies, .rooms]
        ) { scene in
            try await scene.direct { _ in
                do {
                    _ = try await scene.backend.send(Reply("secret", isPrivate: true), to: scene.address())
                } catch {
                    // An error is one way to keep the text private.
                    return try scene.expect((error as? SendFailure)?.remedy, is: .never, "the remedy of the error")
                }
                let shown = try await scene.shown()
                try scene.expect(shown.reader != nil || shown.place.isDirect, "one reader", got: "\(shown)")
            }
        },
        ConformanceCase("answer.announcement", "a message that nobody asked for is shown") { scene in
            try await scene.hosted { host in
                for place in scene.places {
                    try host.chat.say(Reply("news"), at: scene.address(place))
                    let shown = try await scene.shown()
                    try scene.expect(shown.place, is: place, "the place where it is shown")
                    try scene.expect(shown.text, is: "news", "the text that is shown")
                }
            }
        },
    ]
}

extension [ConformanceShown] {
    /// The texts, with line breaks between them: some services show each line as a message.
    var text: String { map(\.text).joined(separator: "\n") }

    /// The lines of all texts.
    var lines: [String] {
        flatMap { $0.text.unicodeScalars.split(separator: "\n").map { String(String.UnicodeScalarView($0)) } }
    }
}

extension ConformanceScene {
    /// Checks that one person alone sees a message.
    func isOnly(
        for person: String, _ shown: ConformanceShown, _ text: String, file: StaticString = #fileID,
        line: UInt = #line
    ) throws {
        try expect(shown.text, is: text, "the text that is shown", file: file, line: line)
        try expect(
            shown.reader == person || shown.place == .direct(person), "a message that only \(person) sees",
            got: "\(shown)", file: file, line: line)
    }
}
