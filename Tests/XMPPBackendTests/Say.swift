import PetrelKit
import PetrelSupport

/// A module that echoes its arguments.
struct Say: BotModule {
    let name = "say"
    /// A text that is longer than one message.
    static let own = Array(repeating: "some words of an action", count: 800).joined(separator: " ")

    var commands: [Command] {
        [
            Command("say", usage: "TEXT", summary: "Echo a text.") { Reply($0.arguments) },
            Command("own", summary: "Send a text with extra.xmpp.") { _ in
                var reply = Reply("usual")
                reply.extra = ["xmpp": ["body": .string(Self.own), "subject": "about"]]
                return reply
            },
            Command("who", summary: "Show the sender.") { call in
                Reply("\(call.message.sender.id) \(call.message.sender.isStable) \(call.message.room?.id ?? "-")")
            },
        ]
    }
}
