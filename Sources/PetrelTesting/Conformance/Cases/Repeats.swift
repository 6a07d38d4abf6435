import PetrelKit
import PetrelSupport

extension BackendConformance {
    /// Cases about messages that a service delivers twice.
    static let redeliveries: [ConformanceCase] = [
        ConformanceCase(
            "redeliver.once", "a message that is delivered twice runs its command once", needs: [.redelivery]
        ) { scene in
            try await scene.hosted { _ in
                let message = try await scene.say("!count")
                try scene.expect(try await scene.shown().text, is: "run 1.", "the text that is shown")
                try await scene.stage.redeliver(message)
                try scene.expect(try await scene.rest(), is: [], "further messages of the bot")
            }
        },
        ConformanceCase(
            "redeliver.reconnect", "a message that is delivered again after a cut runs its command once",
            needs: [.redelivery, .cutting]
        ) { scene in
            try await scene.hosted { _ in
                let message = try await scene.say("!count")
                try scene.expect(try await scene.shown().text, is: "run 1.", "the text that is shown")
                try await scene.reconnect()
                try await scene.stage.redeliver(message)
                // The cut may come before the backend knows that the answer was shown, which is then sent again.
                let others = Set(try await scene.rest().lines).subtracting(["run 1."])
                try scene.expect(others, is: [], "further messages of the bot")
            }
        },
        ConformanceCase("redeliver.burst", "ten repeats of each of ten messages run ten commands", needs: [.redelivery])
        {
            scene in
            try await scene.hosted { _ in
                var messages: [String] = []
                for _ in 0..<10 { messages.append(try await scene.say("!count")) }
                for message in messages { for _ in 0..<10 { try await scene.stage.redeliver(message) } }
                let lines = try await scene.rest().lines
                try scene.expect(Set(lines), is: Set((1...10).map { "run \($0)." }), "the answers")
                try scene.expect(lines.count, is: 10, "the number of answers")
            }
        },
        ConformanceCase("redeliver.equal", "two messages with the same text run two commands") { scene in
            try await scene.hosted { _ in
                for number in 1...2 {
                    try await scene.say("!count")
                    try scene.expect(try await scene.shown().text, is: "run \(number).", "the text that is shown")
                }
            }
        },
    ]

    /// Cases about replacements.
    static let edits: [ConformanceCase] = [
        ConformanceCase("edit.once", "a message is replaced where it is", needs: [.edits]) { scene in
            try await scene.edited { editing, message in
                try await editing.replace(message, at: scene.address(), with: Reply("two"))
                let shown = try await scene.shown()
                try scene.expect(shown.text, is: "two", "the text that is shown")
                try scene.expect(shown.isReplacement, is: true, "whether it replaces a message")
                try scene.expect(shown.place, is: scene.place, "the place where it is shown")
            }
        },
        ConformanceCase("edit.markup", "the new text is shown literally", needs: [.edits]) { scene in
            let text = "*a* _b_ <c> & `d` @here e\u{301} 👨‍👩‍👧‍👦"
            try await scene.edited { editing, message in
                try await editing.replace(message, at: scene.address(), with: Reply(text))
                try scene.expect(text: try await scene.shown().text, is: scene.stage.displayed(text))
            }
        },
        ConformanceCase("edit.quick", "of 50 quick replacements the last one remains", needs: [.edits]) { scene in
            try await scene.edited { editing, message in
                for number in 1...50 {
                    try await editing.replace(message, at: scene.address(), with: Reply("v\(number)."))
                }
                let shown = try await scene.shown(through: "v50.")
                try scene.expect(shown.allSatisfy(\.isReplacement), "only replacements", got: "\(shown)")
            }
        },
        ConformanceCase("edit.unknown", "replacing a message that does not exist fails", needs: [.edits]) { scene in
            try await scene.edited { editing, _ in
                for id in ["", "nonsense", "a/b", "1"] {
                    do {
                        try await editing.replace(MessageReference(id: id), at: scene.address(), with: Reply("x"))
                    } catch is SendFailure {
                        continue
                    }
                    throw ConformanceFailure(expected: "a SendFailure for the message “\(id)”", got: "success")
                }
            }
        },
        ConformanceCase("edit.thread", "a message in a thread is replaced there", needs: [.edits, .threads]) { scene in
            try await scene.direct { run in
                guard let editing = scene.backend as? any Editing else { return }
                let address = scene.address(thread: try await scene.thread(run))
                guard let message = try await editing.send(Reply("one"), to: address) else {
                    throw ConformanceFailure(expected: "a reference", got: "nil")
                }
                _ = try await scene.shown()
                try await editing.replace(message, at: address, with: Reply("two"))
                try scene.expect(try await scene.shown().thread, is: address.thread, "the thread in which it is shown")
            }
        },
        ConformanceCase("edit.hosted", "of 50 replacements through a host the last one remains", needs: [.edits]) {
            scene in
            try await scene.hosted { host in
                try host.chat.say(Reply("v0."), at: scene.address(), DeliveryMarks(handle: "h"))
                for number in 1...50 {
                    host.chat.replace("h", with: Reply("v\(number)."), on: scene.backend.name)
                }
                let shown = try await scene.shown(through: "v50.")
                try scene.expect(shown.count { !$0.isReplacement }, is: 1, "the number of messages")
            }
        },
        ConformanceCase("edit.order", "a replacement adds no message", needs: [.edits]) { scene in
            try await scene.hosted { host in
                try host.chat.say(Reply("one"), at: scene.address(), DeliveryMarks(handle: "h"))
                _ = try await scene.shown()
                host.chat.replace("h", with: Reply("two"), on: scene.backend.name)
                try scene.expect(try await scene.shown().isReplacement, is: true, "whether it replaces a message")
                try scene.expect(try await scene.rest(), is: [], "further messages of the bot")
            }
        },
    ]
}

extension ConformanceScene {
    /// Sends a message, and calls a closure with its reference.
    fileprivate func edited(_ body: (any Editing, MessageReference) async throws -> Void) async throws {
        try await direct { _ in
            guard let editing = backend as? any Editing else { return }
            guard let message = try await editing.send(Reply("one"), to: address()) else {
                throw ConformanceFailure(expected: "a reference to the message", got: "nil")
            }
            try expect(try await shown().isReplacement, is: false, "whether it replaces a message")
            try await body(editing, message)
        }
    }

    /// Cuts the connection, restores it, and waits for the bot.
    func reconnect() async throws {
        try await stage.set(.cut)
        try await stage.set(.open)
        try await untilConnected()
    }
}
