import PetrelKit

/// Says what it was told.
struct Say: BotModule {
    let name = "say"

    var commands: [Command] {
        [
            Command("say", usage: "TEXT", summary: "Say it again.") { Reply($0.arguments) },
            Command("who", summary: "Who asks.") { call in
                Reply("\(call.message.sender.id) \(call.message.sender.isStable) \(call.message.room?.id ?? "-")")
            },
        ]
    }
}
