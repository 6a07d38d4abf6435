import PetrelKit
import PetrelSupport
import PetrelTesting

/// Replies with the arguments of a command, its sender and its room.
struct Echo: BotModule {
    static let long = (0..<3_000).map { "line \($0)" }.joined(separator: "\n")

    let name = "echo"

    var commands: [Command] {
        [
            Command("echo", usage: "TEXT", summary: "Repeat a text.") { call in
                Reply("\(call.message.sender.name) in \(call.message.room?.name ?? "private"): \(call.arguments)")
            },
            Command("long", summary: "Send a long text.") { _ in Reply(Self.long) },
            Command("private", summary: "Send a long private text.") { _ in Reply(Self.long, isPrivate: true) },
            Command("attached", summary: "Send an attachment.") { _ in
                Reply("done & well\n", extra: ["slack": ["color": "good", "fields": [["title": "a", "short": true]]]])
            },
            Command("blocks", summary: "Send blocks.") { _ in
                Reply("plain", extra: ["slack": ["blocks": [["type": "divider"]]]])
            },
            Command("wrong", summary: "Send invalid blocks.") { _ in
                Reply("still readable", extra: ["slack": ["blocks": [["type": "of the future"]]]])
            },
            Command("pressed", summary: "Send plain text with a button.") { _ in
                Reply("*.log at https://example.com/a?b=1 & more", buttons: [Button("Again", line: "pressed")])
            },
            Command("started", summary: "Send an acknowledgement.") { _ in Reply("Started.", kind: .acknowledgement) },
            Command("secret", summary: "For administrators.", isAdminOnly: true) { _ in Reply("never") },
            Command("bold", summary: "Repeat a text in Markdown.") { Reply("**\($0.arguments)**", style: .markdown) },
        ]
    }
}

/// Sends `count` announcements to each channel.
struct Storm: Sendable {
    var channels = ["C1", "C2", "C3", "C4", "C5"]
    var count = 100
    let begins = Signal()
    let again = Signal()

    func module(on host: TestHost) -> any BotModule {
        StormModule(storm: self, chat: host.access(for: "storm").chat)
    }
}

private struct StormModule: BotModule {
    let name = "storm"
    let commands: [Command] = []
    let storm: Storm
    let chat: any Speaking

    func run() async throws {
        await storm.begins.wait()
        for number in 0..<storm.count {
            for channel in storm.channels {
                let place: Address.Place = channel.hasPrefix("@") ? .direct(channel) : .room(channel)
                try chat.say(Reply("\(number)"), at: Address(backend: "slack", place: place))
            }
        }
        await storm.again.wait()
        for channel in storm.channels {
            try chat.say(Reply("end"), at: Address(backend: "slack", place: .room(channel)))
        }
    }
}
