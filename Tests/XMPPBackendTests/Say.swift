import PetrelKit
import PetrelSupport

/// Says what it was told.
struct Say: BotModule {
    let name = "say"
    /// Longer than one message.
    static let own = Array(repeating: "some words of an action", count: 800).joined(separator: " ")

    var commands: [Command] {
        [
            Command("say", usage: "TEXT", summary: "Say it again.") { Reply($0.arguments) },
            Command("own", summary: "Say it otherwise.") { _ in
                var reply = Reply("usual")
                reply.extra = ["xmpp": ["body": .string(Self.own), "subject": "about"]]
                return reply
            },
            Command("who", summary: "Who asks.") { call in
                Reply("\(call.message.sender.id) \(call.message.sender.isStable) \(call.message.room?.id ?? "-")")
            },
        ]
    }
}
