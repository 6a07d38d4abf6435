/// Cuts bytes into messages. It holds at most one line; a longer line is skipped.
struct IRCLineReader {
    /// The maximum length of a line: tags of a server and of a client, and a message.
    static let longest = 2 * IRCMessage.longestTags + IRCMessage.longest

    private var line: [UInt8] = []
    private var isSkipping = false

    /// Reads bytes. Returns the complete messages; lines that are not messages are ignored.
    mutating func feed(_ bytes: some Sequence<UInt8>) -> [IRCMessage] {
        var messages: [IRCMessage] = []
        for byte in bytes {
            // Some servers end a line with LF only.
            guard byte != 0x0A, byte != 0x0D else {
                if !isSkipping, let message = IRCMessage(line: line) { messages.append(message) }
                line.removeAll(keepingCapacity: true)
                isSkipping = false
                continue
            }
            guard line.count < Self.longest else {
                isSkipping = true
                continue
            }
            line.append(byte)
        }
        return messages
    }
}
