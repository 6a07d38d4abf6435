import PetrelKit

/// The current user, room and thread, as set with `/as`, `/room`, `/dm` and `/thread`.
struct TextPlace: Sendable, Equatable {
    var user: String
    var room: String?
    var thread: String?
    private var count = 0

    init(user: String, room: String?) {
        self.user = user
        self.room = room
    }

    enum Outcome: Equatable {
        case message
        /// A line to show to the user.
        case note(String)
        case quit
    }

    static let help = """
        /as @name       send messages as another user
        /room #name     enter a room
        /dm             open a direct chat with the bot
        /thread [name]  enter a thread, or leave it
        /quit           quit
        """

    /// Processes one line. A slash command changes the place; any other line is a message.
    mutating func take(_ line: String) -> Outcome {
        guard line.hasPrefix("/"), let command = line.split(separator: " ").first else { return .message }
        let argument = line.split(separator: " ").dropFirst().first.map(String.init)
        switch command {
        case "/as":
            guard let argument, argument.hasPrefix("@"), argument.count > 1 else { return .note("Usage: /as @name") }
            user = argument
        case "/room":
            guard let argument, argument.hasPrefix("#"), argument.count > 1 else {
                return .note("Usage: /room #name")
            }
            (room, thread) = (argument, nil)
        case "/dm": (room, thread) = (nil, nil)
        case "/thread": thread = argument
        case "/help": return .note(Self.help)
        case "/quit", "/exit": return argument == nil ? .quit : .note("\(command) takes no arguments.")
        default: return .note("Unknown command \(command). Commands: /as, /room, /dm, /thread, /help, /quit.")
        }
        return .note(description)
    }

    var description: String {
        "You are \(user) \(room.map { "in \($0)" } ?? "in a direct chat")\(thread.map { ", thread \($0)" } ?? "")."
    }

    var prompt: String { "\(user) \(room ?? "dm")\(thread.map { "/\($0)" } ?? "")> " }

    /// Returns a message at this place with the next sequential ID.
    mutating func message(_ text: String) -> ChatMessage {
        count += 1
        return ChatMessage(
            id: "\(count)", sender: Person(id: user, name: user), room: room.map { Room(id: $0, name: $0) },
            thread: thread, text: text)
    }
}
