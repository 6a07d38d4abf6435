import PetrelKit

/// Who types and where, as `/as`, `/room`, `/dm` and `/thread` set it.
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
        /// A line for the person who types.
        case note(String)
        case quit
    }

    static let help = """
        /as @name       speak as somebody else
        /room #name     go into a room
        /dm             speak to the bot in private
        /thread [name]  speak in a thread, or leave it
        /quit           end
        """

    /// Takes one line: a slash command changes the place, any other line is a message.
    mutating func take(_ line: String) -> Outcome {
        guard line.hasPrefix("/"), let command = line.split(separator: " ").first else { return .message }
        let argument = line.split(separator: " ").dropFirst().first.map(String.init)
        switch command {
        case "/as":
            guard let argument, argument.hasPrefix("@"), argument.count > 1 else { return .note("Say who: /as @bob") }
            user = argument
        case "/room":
            guard let argument, argument.hasPrefix("#"), argument.count > 1 else {
                return .note("Say where: /room #ops")
            }
            (room, thread) = (argument, nil)
        case "/dm": (room, thread) = (nil, nil)
        case "/thread": thread = argument
        case "/help": return .note(Self.help)
        case "/quit", "/exit": return .quit
        default: return .note("I know /as, /room, /dm, /thread, /help and /quit, but not \(command).")
        }
        return .note(description)
    }

    var description: String {
        "You are \(user) \(room.map { "in \($0)" } ?? "in a direct chat")\(thread.map { ", thread \($0)" } ?? "")."
    }

    var prompt: String { "\(user) \(room ?? "dm")\(thread.map { "/\($0)" } ?? "")> " }

    mutating func message(_ text: String) -> ChatMessage {
        count += 1
        return ChatMessage(
            id: "\(count)", sender: Person(id: user, name: user), room: room.map { Room(id: $0, name: $0) },
            thread: thread, text: text)
    }
}
