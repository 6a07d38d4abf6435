import PetrelKit

/// The limits for the lines of a person. They are checked before a line is processed.
package struct LineLimits: Sendable, Hashable {
    /// The maximum size of a line, in bytes of UTF-8.
    package var bytes = 16_384
    /// The maximum number of `name=value` words in a line.
    package var pairs = 200
    /// The maximum number of lines of one person in a minute.
    package var perMinute = 1_200

    /// Creates the default limits.
    package init() {}

    init(_ section: SettingsSection) {
        bytes = section.integer("line_bytes", default: bytes, in: 256...1_048_576)
        pairs = section.integer("pairs", default: pairs, in: 1...100_000)
        perMinute = section.integer("lines_per_minute", default: perMinute, in: 1...1_000_000)
        section.finish()
    }

    /// The maximum total size of the names of the person, the room and the thread, in bytes of UTF-8.
    private static let nameBytes = 4_096

    /// Returns the reply to a message that exceeds a limit; nil if it does not.
    func objection(to message: ChatMessage) -> String? {
        let size = (message.values ?? [:]).reduce(message.text.utf8.count) {
            $0 + $1.key.utf8.count + $1.value.utf8.count
        }
        if size > bytes {
            return "This line is too long: it has \(size) bytes, and the maximum is \(bytes). Nothing was started; "
                + "please shorten it."
        }
        let names = [message.sender.id, message.sender.name, message.room?.id, message.room?.name, message.thread]
        guard names.reduce(0, { $0 + ($1?.utf8.count ?? 0) }) <= Self.nameBytes else {
            return
                "The names of the person, the room and the thread are longer than \(Self.nameBytes) bytes. Nothing was "
                + "started; please use shorter ones."
        }
        let count = Self.pairs(in: message.text)
        guard count > pairs else { return nil }
        return "This line has \(count) name=value pairs, and the maximum is \(pairs). Nothing was started; please use "
            + "fewer."
    }

    /// Returns the beginning of a text, which is enough to decide whether it is meant for the bot.
    func head(of text: String) -> String {
        text.utf8.count <= bytes ? text : String(decoding: text.utf8.prefix(bytes), as: UTF8.self)
    }

    /// Returns the number of words that contain `=`.
    private static func pairs(in text: String) -> Int {
        var count = 0
        var isCounted = false
        for byte in text.utf8 {
            if byte <= 0x20 {
                isCounted = false
            } else if byte == UInt8(ascii: "="), !isCounted {
                count += 1
                isCounted = true
            }
        }
        return count
    }
}

/// A token bucket for each person: it holds the lines of one minute.
struct LineRate: Sendable {
    private struct Person {
        var left: Double
        var at: ContinuousClock.Instant
        var isTold = false
    }

    enum Verdict: Equatable {
        /// The line is within the limit.
        case taken
        /// The line exceeds the limit. `isFirst` is true if the person has not been notified yet.
        case refused(isFirst: Bool)
    }

    private static let capacity = 10_000
    private var people: [String: Person] = [:]

    /// Counts a line.
    mutating func take(_ name: String, perMinute limit: Int, at now: ContinuousClock.Instant = .now) -> Verdict {
        var person = people[name] ?? Person(left: Double(limit), at: now)
        let minutes = person.at.duration(to: now) / .seconds(60)
        person.left = min(Double(limit), person.left + minutes * Double(limit))
        person.at = now
        defer {
            if people.count >= Self.capacity { forget(now, limit) }
            people[name] = person
        }
        guard person.left >= 1 else {
            defer { person.isTold = true }
            return .refused(isFirst: !person.isTold)
        }
        person.left -= 1
        if person.left >= Double(limit) / 10 { person.isTold = false }
        return .taken
    }

    /// Removes people whose buckets are full again, because their last line is a minute old.
    private mutating func forget(_ now: ContinuousClock.Instant, _ limit: Int) {
        people = people.filter { $0.value.at.duration(to: now) < .seconds(60) }
        if people.count >= Self.capacity { people = [:] }
    }
}
