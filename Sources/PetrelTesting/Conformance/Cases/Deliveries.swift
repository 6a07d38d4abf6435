import PetrelKit
import PetrelSupport

extension BackendConformance {
    /// Cases about messages of people.
    static let deliveries: [ConformanceCase] = [
        ConformanceCase("deliver.room", "a message in a room arrives with its room and its sender", needs: [.rooms]) {
            scene in
            try await scene.direct { run in
                for room in scene.stage.rooms {
                    try await scene.say("hello", at: .room(room))
                    let message = try await run.next()
                    try scene.expect(message.room?.id, is: room, "the room of the message")
                    try scene.expect(message.isDirect, is: false, "whether the message is a direct one")
                    try scene.expect(message.text, is: "hello", "the text that is delivered")
                }
            }
        },
        ConformanceCase("deliver.direct", "a direct message arrives without a room", needs: [.direct]) { scene in
            try await scene.direct { run in
                try await scene.say("hello", at: .direct(scene.alice))
                let message = try await run.next()
                try scene.expect(message.isDirect, is: true, "whether the message is a direct one")
                try scene.expect(message.place, is: .direct(scene.alice), "the place of the message")
                try scene.expect(message.sender.id, is: scene.alice, "the sender")
            }
        },
        ConformanceCase("deliver.sender", "the identifier of a sender is the same in every message and place") {
            scene in
            try await scene.direct { run in
                var ids: Set<String> = []
                for place in scene.places.prefix(3) where place.id != scene.stage.people.last || !place.isDirect {
                    try await scene.say("hello", at: place)
                    let sender = try await run.next().sender
                    try scene.expect(!sender.name.isEmpty, "a name", got: "an empty name")
                    ids.insert(sender.id)
                }
                try scene.expect(ids, is: [scene.alice], "the sender of each message")
            }
        },
        ConformanceCase("deliver.stable", "people with accounts are marked as such", needs: [.stableIdentities]) {
            scene in
            try await scene.direct { run in
                try await scene.say("hello")
                try scene.expect(try await run.next().sender.isStable, is: true, "whether the sender has an account")
            }
        },
        ConformanceCase("deliver.people", "two people have different identifiers", needs: [.people, .rooms]) { scene in
            try await scene.direct { run in
                try await scene.say("one", as: scene.alice)
                try scene.expect(try await run.next().sender.id, is: scene.alice, "the sender")
                try await scene.say("two", as: scene.bob)
                try scene.expect(try await run.next().sender.id, is: scene.bob, "the sender")
            }
        },
        ConformanceCase("deliver.ids", "the identifiers of messages are unique, also for equal texts") { scene in
            try await scene.direct { run in
                var ids: Set<String> = []
                for _ in 0..<50 {
                    try await scene.say("again")
                    ids.insert(try await run.next().id)
                }
                try scene.expect(ids.count, is: 50, "the number of different identifiers")
            }
        },
        ConformanceCase("deliver.order", "200 messages in one place arrive in order") { scene in
            try await scene.direct { run in
                for number in 0..<200 { try await scene.say("m\(number)") }
                for number in 0..<200 {
                    try scene.expect(try await run.next().text, is: "m\(number)", "the text that is delivered")
                }
            }
        },
        ConformanceCase("deliver.places", "20 messages in each place arrive in the order of the place") { scene in
            try await scene.direct { run in
                let places = scene.places
                for number in 0..<20 { for place in places { try await scene.say("\(number)", at: place) } }
                var texts: [Address.Place: [String]] = [:]
                for _ in 0..<(20 * places.count) {
                    let message = try await run.next()
                    texts[message.place, default: []].append(message.text)
                }
                let wanted = (0..<20).map { "\($0)" }
                for place in places {
                    try scene.expect(texts[place] ?? [], is: wanted, "the texts from \(place.words)")
                }
            }
        },
        ConformanceCase("deliver.thread", "a message in a thread names it, and one outside does not", needs: [.threads])
        {
            scene in
            try await scene.direct { run in
                try await scene.say("outside")
                try scene.expect(try await run.next().thread, is: nil, "the thread of the message")
                let thread = try await scene.thread(run)
                try await scene.say("inside", thread: thread)
                try scene.expect(try await run.next().thread, is: thread, "the thread of the message")
            }
        },
        ConformanceCase("deliver.own", "the bot's own messages are not delivered to it") { scene in
            try await scene.direct { run in
                for place in scene.places {
                    _ = try await scene.backend.send(Reply("!echo own"), to: scene.address(place))
                    _ = try await scene.shown()
                    try await scene.say("next", at: place)
                    try scene.expect(try await run.next().text, is: "next", "the text that is delivered")
                }
            }
        },
        ConformanceCase("deliver.blank", "empty and blank messages do no harm") { scene in
            try await scene.direct { run in
                for text in ["", " ", "\n", "\t", "\u{A0}", "\u{200B}"] { try await scene.say(text) }
                try await scene.say("after")
                while try await run.next().text != "after" {}
            }
        },
        ConformanceCase("deliver.slow", "a host that takes messages slowly loses none of 500") { scene in
            let gate = Signal()
            try await scene.direct(gate: gate) { run in
                for number in 0..<500 { try await scene.say("m\(number)") }
                gate.open()
                for number in 0..<500 {
                    try scene.expect(try await run.next().text, is: "m\(number)", "the text that is delivered")
                }
            }
        },
    ]

    /// Cases about texts that arrive, compared by scalars.
    static let arrivingTexts: [ConformanceCase] =
        (OddText.all + [
            OddText(name: "spaces-outside", text: "  a  "),
            OddText(name: "16-kilobytes", text: String(repeating: "0123456789ä ", count: 1_200)),
            OddText(name: "markup", text: "*a* _b_ ~c~ `d` > e | f @here #g"),
        ]).map { odd in
            ConformanceCase("arrive.\(odd.name)", "a text arrives as it was typed: \(odd.name)") { scene in
                try await scene.direct { run in
                    try await scene.say(odd.text)
                    try scene.expect(text: try await run.next().text, is: scene.stage.carried(odd.text))
                    try await scene.say("after")
                    try scene.expect(try await run.next().text, is: "after", "the text that is delivered")
                }
            }
        }
}

extension ConformanceScene {
    /// Begins a thread, and returns its identifier.
    func thread(_ run: DirectRun) async throws -> String {
        let thread = try await say("thread")
        _ = try await run.next()
        return thread
    }
}
