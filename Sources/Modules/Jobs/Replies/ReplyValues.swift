import Foundation

/// The values that templates can use.
struct ReplyValues: Sendable {
    var user = ""
    var userLink = ""
    var userID = ""
    var channel = ""
    var channelLink = ""
    var channelID = ""
    var isDirect = false
    var command = ""
    var arguments: [String] = []
    var output = ""
    /// The number of bytes of the whole output.
    var size = 0
    var error = ""
    var job = 0
    var duration = 0.0
    var started = Date.distantPast
    var messages: [ReplyOccasion: [String]] = [:]

    /// The names of the lists.
    static let lists = Set(ReplyOccasion.allCases.map(\.rawValue) + ["arguments"])
    /// The names of the other values.
    static let texts = Set(ReplyValues().context.keys).subtracting(lists)

    /// The values by their names.
    var context: [String: any Sendable] {
        var context: [String: any Sendable] = [
            "user": user, "userlink": userLink, "userid": userID, "channel": channel, "channellink": channelLink,
            "channelid": channelID, "isim": isDirect, "command": command, "args": arguments.joined(separator: " "),
            "arguments": arguments, "output": output, "size": size, "error": error, "jobid": job,
            "duration": duration, "started": started,
        ]
        for occasion in ReplyOccasion.allCases { context[occasion.rawValue] = messages[occasion] ?? [""] }
        return context
    }

    /// Values for trying a template: with as few of them as possible, and with all.
    static var samples: [ReplyValues] {
        var few = ReplyValues()
        few.isDirect = true
        return [few, full]
    }

    /// Values for trying a template, with all of them.
    static var full: ReplyValues {
        var full = ReplyValues()
        full.user = "alice"
        full.userLink = "@alice"
        full.userID = "U1"
        full.channel = "ops"
        full.channelLink = "#ops"
        full.channelID = "C1"
        full.command = "deploy"
        full.arguments = ["web", "1"]
        full.output = "line\n"
        full.size = 5
        full.error = "exit status 1"
        full.job = 1
        full.duration = 1.5
        full.started = .now
        full.messages = Dictionary(uniqueKeysWithValues: ReplyOccasion.allCases.map { ($0, ["message"]) })
        return full
    }

    /// Values with so many arguments that none of a line has a higher number.
    static var many: ReplyValues {
        var many = full
        many.arguments = Array(repeating: "web", count: 8_192)
        many.messages = many.messages.mapValues { _ in Array(repeating: "message", count: 20) }
        return many
    }
}
