/// A message of the IRC protocol (RFC 1459, RFC 2812) with message tags (IRCv3).
struct IRCMessage: Hashable, Sendable {
    /// The origin of a message. A server has neither a user nor a host.
    struct Source: Hashable, Sendable {
        var nick: String
        var user: String?
        var host: String?

        /// The user and the host, which a client cannot change as easily as its nick; nil for a server.
        var mask: String? { user.flatMap { user in host.map { "\(user)@\($0)" } } }
    }

    var tags: [String: String] = [:]
    var source: Source?
    /// The command in upper case, or a numeric reply of three digits.
    var command: String
    var parameters: [String]

    init(_ command: String, _ parameters: String...) {
        self.command = command
        self.parameters = parameters
    }

    /// Returns a parameter; nil if the message has fewer.
    subscript(_ index: Int) -> String? { parameters.indices.contains(index) ? parameters[index] : nil }
}

extension IRCMessage {
    /// The maximum length of a message without tags, in bytes, with its CR LF (RFC 1459, section 2.3).
    static let longest = 512
    /// The maximum length of the tags of a message from a server, in bytes.
    static let longestTags = 8_191

    /// Parses a line without its terminator. Returns nil if it is not a message.
    ///
    /// A line that is not valid UTF-8 is decoded as Latin-1, so that no byte is lost.
    init?(line: some Collection<UInt8>) {
        var rest = ArraySlice(line)
        guard !rest.contains(where: { $0 == 0 || $0 == 0x0A || $0 == 0x0D }) else { return nil }
        var tags: [String: String] = [:]
        if rest.first == UInt8(ascii: "@") {
            let text = Self.word(&rest).dropFirst()
            guard text.count < Self.longestTags else { return nil }
            tags = Self.tags(text)
        }
        let decode = Self.decoder(for: rest)
        if rest.first == UInt8(ascii: ":") {
            source = Source(decode(Self.word(&rest).dropFirst()))
            guard source != nil else { return nil }
        }
        let name = Self.word(&rest)
        guard !name.isEmpty, name.allSatisfy(Self.isCommandByte) else { return nil }
        self.tags = tags
        command = String(decoding: name, as: UTF8.self).uppercased()
        parameters = []
        while !rest.isEmpty {
            if rest.first == UInt8(ascii: ":") {
                parameters.append(decode(rest.dropFirst()))
                break
            }
            parameters.append(decode(Self.word(&rest)))
        }
    }

    /// Removes the first word, and the spaces after it.
    private static func word(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let word = rest.prefix { $0 != 0x20 }
        rest = rest[word.endIndex...].drop { $0 == 0x20 }
        return word
    }

    private static func isCommandByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    private static func decoder(for line: ArraySlice<UInt8>) -> (ArraySlice<UInt8>) -> String {
        guard String(validating: line, as: UTF8.self) != nil else {
            return { bytes in
                var text = String.UnicodeScalarView()
                text.append(contentsOf: bytes.lazy.map { Unicode.Scalar($0) })
                return String(text)
            }
        }
        return { String(decoding: $0, as: UTF8.self) }
    }

    private static func tags(_ text: ArraySlice<UInt8>) -> [String: String] {
        var tags: [String: String] = [:]
        for tag in text.split(separator: UInt8(ascii: ";")) {
            let key = tag.prefix { $0 != UInt8(ascii: "=") }
            guard !key.isEmpty else { continue }
            tags[String(decoding: key, as: UTF8.self)] = IRCTagValue.unescaped(tag[key.endIndex...].dropFirst())
        }
        return tags
    }
}

extension IRCMessage.Source {
    /// Parses `nick!user@host`, `nick@host`, or the name of a server.
    init?(_ text: String) {
        let scalars = text.unicodeScalars
        let nick = scalars.prefix { $0 != "!" && $0 != "@" }
        guard !nick.isEmpty else { return nil }
        self.nick = String(nick)
        var rest = scalars[nick.endIndex...]
        if rest.first == "!" {
            let user = rest.dropFirst().prefix { $0 != "@" }
            self.user = String(user)
            rest = rest[user.endIndex...]
        }
        if rest.first == "@" { host = String(rest.dropFirst()) }
    }
}

extension IRCMessage {
    /// An error of a message that must not be sent, because the server would read something else.
    struct Unsendable: Error, CustomStringConvertible {
        var description: String
    }

    /// Returns the message as a line with CR LF. Throws ``Unsendable`` if the line would be too long, or if a parameter
    /// contains a character that would end it.
    func encoded() throws(Unsendable) -> [UInt8] {
        guard !command.isEmpty, command.utf8.allSatisfy(Self.isCommandByte) else {
            throw Unsendable(description: "the command is not a word")
        }
        var line = Array(command.utf8)
        for (index, parameter) in parameters.enumerated() {
            line.append(0x20)
            let isLast = index == parameters.count - 1
            guard parameter.utf8.allSatisfy({ $0 != 0 && $0 != 0x0A && $0 != 0x0D }) else {
                throw Unsendable(description: "a parameter of \(command) contains a line break or NUL")
            }
            if Self.needsColon(parameter) {
                guard isLast else {
                    throw Unsendable(description: "a parameter of \(command) is empty or contains a space")
                }
                line.append(UInt8(ascii: ":"))
            }
            line += parameter.utf8
        }
        line += [0x0D, 0x0A]
        guard line.count <= Self.longest else {
            throw Unsendable(description: "the message has \(line.count) bytes, the limit is \(Self.longest)")
        }
        return try encodedTags() + line
    }

    private func encodedTags() throws(Unsendable) -> [UInt8] {
        guard !tags.isEmpty else { return [] }
        var text: [UInt8] = []
        for (key, value) in tags.sorted(by: { $0.key < $1.key }) {
            guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3B && $0 != 0x3D }) else {
                throw Unsendable(description: "a message tag has an invalid key")
            }
            text += text.isEmpty ? [UInt8(ascii: "@")] : [UInt8(ascii: ";")]
            text += key.utf8
            if !value.isEmpty { text += [UInt8(ascii: "=")] + IRCTagValue.escaped(value) }
        }
        guard text.count < Self.longestTags else { throw Unsendable(description: "the message tags are too long") }
        return text + [0x20]
    }

    private static func needsColon(_ parameter: String) -> Bool {
        parameter.isEmpty || parameter.utf8.first == UInt8(ascii: ":") || parameter.utf8.contains(0x20)
    }
}

/// The escapes in values of message tags.
enum IRCTagValue {
    static func escaped(_ value: String) -> [UInt8] {
        value.utf8.flatMap { byte -> [UInt8] in
            switch byte {
            case 0x3B: Array("\\:".utf8)
            case 0x20: Array("\\s".utf8)
            case 0x5C: Array("\\\\".utf8)
            case 0x0D: Array("\\r".utf8)
            case 0x0A: Array("\\n".utf8)
            case 0: []
            default: [byte]
            }
        }
    }

    static func unescaped(_ bytes: some Sequence<UInt8>) -> String {
        var value: [UInt8] = []
        var isEscaped = false
        for byte in bytes {
            guard isEscaped || byte != 0x5C else {
                isEscaped = true
                continue
            }
            value.append(isEscaped ? plain(byte) : byte)
            isEscaped = false
        }
        return String(decoding: value, as: UTF8.self)
    }

    private static func plain(_ byte: UInt8) -> UInt8 {
        switch byte {
        case 0x3A: 0x3B
        case 0x73: 0x20
        case 0x72: 0x0D
        case 0x6E: 0x0A
        default: byte
        }
    }
}
