import PetrelSupport

/// The lines of one client. The session turns bytes into actions, and performs no input or output.
package struct UnixSession {
    /// What the backend has to do next.
    package enum Action: Sendable, Hashable {
        /// Register the client under its nick.
        case enter(nick: String)
        /// Add the client to a room.
        case join(room: String)
        /// Deliver a text to the bot, and show a text in a room to the people in it.
        case say(String, room: String?)
        /// Tell the client the reason, and close the connection.
        case close(String)
    }

    /// The maximum length of a line, in bytes. The bot answers a line that is longer than `bot.limits.line_bytes`, 16384
    /// by default, with that limit.
    package static let longestLine = 65_536
    private static let longestName = 32

    private var rest: [UInt8] = []
    private var isNamed = false
    private var isClosed = false

    package init() {}

    /// Returns the actions for the lines that these bytes complete. After ``Action/close(_:)`` there are no more.
    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [Action] {
        var actions: [Action] = []
        for byte in bytes where !isClosed {
            if byte == UInt8(ascii: "\n") {
                if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
                if let action = action(for: String(decoding: rest, as: UTF8.self)) { actions.append(action) }
                rest.removeAll(keepingCapacity: true)
            } else if rest.count < Self.longestLine {
                rest.append(byte)
            } else {
                actions.append(close("a line has more than \(Self.longestLine) bytes"))
            }
        }
        return actions
    }

    private mutating func action(for line: String) -> Action? {
        guard isNamed else { return entrance(line) }
        guard line.utf8.first == UInt8(ascii: "#") else { return line.isBlank ? nil : .say(line, room: nil) }
        let (room, text) = line.firstWord
        guard Self.isName(room.dropFirst()) else { return close("\(Printable.name(room)) is not the name of a room") }
        return text.isBlank ? .join(room: room) : .say(text, room: room)
    }

    private mutating func entrance(_ nick: String) -> Action {
        guard Self.isName(nick[...]) else {
            return close("the first line must be a nick: 1 to \(Self.longestName) of a-z, 0-9, _ and -")
        }
        isNamed = true
        return .enter(nick: nick)
    }

    private mutating func close(_ reason: String) -> Action {
        isClosed = true
        return .close(reason)
    }

    private static func isName(_ text: Substring) -> Bool {
        (1...longestName).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
