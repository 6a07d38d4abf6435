import PetrelKit
import PetrelSupport

@testable import IRCBackend

/// Checks that messages do not depend on how the bytes are split, that what is written is read back unchanged and is
/// one line of at most 512 bytes, that texts are split without a loss, and that a session survives every message.
func fuzzIRC(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let text = Array(bytes.dropFirst())
    let size = Int(first % 9) + 1
    var whole = IRCLineReader()
    var pieces = IRCLineReader()
    let messages = whole.feed(text)
    let again = stride(from: 0, to: text.count, by: size).flatMap { start in
        pieces.feed(text[start..<min(start + size, text.count)])
    }
    require(messages == again, "pieces of \(size): \(again) instead of \(messages)")
    for message in messages { checkRoundTrip(message) }
    checkLines(String(decoding: text, as: UTF8.self), Int(first) + 8)
    checkSession(messages)
}

private func checkRoundTrip(_ message: IRCMessage) {
    var own = message
    own.source = nil
    // What cannot be written is refused.
    guard let line = try? own.encoded() else { return }
    require(line.filter { $0 == 0x0A || $0 == 0x0D }.count == 2, "\(own) is written as several lines")
    require(!own.tags.isEmpty || line.count <= IRCMessage.longest, "\(own) is written as \(line.count) bytes")
    guard let read = IRCMessage(line: line.dropLast(2)) else { return require(false, "\(own) is not read back") }
    require(
        read.command == own.command && read.parameters.elementsEqual(own.parameters) { $0.utf8.elementsEqual($1.utf8) },
        "\(own) is read back as \(read)")
}

private func checkLines(_ text: String, _ limit: Int) {
    let lines = IRCSplitter.lines(of: text, atMost: limit)
    require(lines.allSatisfy { $0.utf8.count <= limit && !$0.isEmpty }, "a line has more than \(limit) bytes")
    require(
        lines.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }, "a line contains a control character")
    let kept = Substring(text).textLines.filter { line in
        !line.unicodeScalars.allSatisfy { $0.isSeparator || $0.value < 0x20 || $0.value == 0x7F }
    }.flatMap { line in
        line.unicodeScalars.compactMap { scalar -> Unicode.Scalar? in
            scalar == "\t" ? " " : scalar.value < 0x20 || scalar.value == 0x7F ? nil : scalar
        }
    }
    require(lines.flatMap(\.unicodeScalars) == kept, "the lines differ from the text")
}

private func checkSession(_ messages: [IRCMessage]) {
    var settings = IRCSettings(server: "x", nick: "petrel")
    settings.channels = [IRCSettings.Channel(name: "#ops")]
    var session = IRCSession(settings, version: "1")
    let opening = [
        ":s CAP * LS :account-tag account-notify", ":s CAP * ACK :account-tag account-notify",
        ":s 001 petrel :x", ":s 376 petrel :x", ":petrel!p@h JOIN #ops",
    ].compactMap { IRCMessage(line: Array($0.utf8)) }
    for message in opening + messages {
        for case .deliver(let delivered) in session.receive(message, at: .now) {
            let sender = delivered.sender
            require(sender.isStable == !IRCIdentity.isVisit(sender.id), "\(sender) is stable without an account")
            require(!sender.isStable || IRCIdentity.isAccount(sender.id), "\(sender) has no account")
        }
    }
}
