import PetrelSupport

/// A command that is split as StackStorm's parser does before it tries formats: the `key=value` pairs at its end, and
/// the rest, padded with a space on both sides.
package struct CommandStream: Sendable {
    /// A `key=value` pair.
    package struct Pair: Equatable, Sendable {
        /// The key.
        package var key: String
        /// The value, without quotes.
        package var value: String
    }

    /// The whole command.
    package let command: String
    /// The pairs at the end of the command.
    package let pairs: [Pair]
    /// The Unicode scalars that formats are matched against.
    package let scalars: [UInt32]
    /// True if the text of the pairs also occurs earlier in the command, where StackStorm removes it as well.
    package let isCutElsewhere: Bool

    /// Splits a command.
    package init(_ command: String) {
        self.command = command
        let space = [UInt32(32)]
        let all = command.unicodeScalars.map(\.value)
        guard all.contains(61), let tail = Self.tail(of: all), !tail.isEmpty else {
            pairs = []
            scalars = space + all + space
            isCutElsewhere = false
            return
        }
        pairs = Self.pair.allMatches(in: tail).map { match in
            Pair(key: tail.text(of: 1, in: match), value: (3...6).map { tail.text(of: $0, in: match) }.joined())
        }
        let rest = all.removing(tail)
        isCutElsewhere = rest.count != all.count - tail.count
        scalars = space + rest + space
    }

    /// Creates a stream from a command without splitting off its pairs.
    package init(uncut command: String) {
        self.command = command
        pairs = []
        scalars = [32] + command.unicodeScalars.map(\.value) + [32]
        isCutElsewhere = false
    }

    /// The text that formats are matched against.
    package var text: String { scalars.text }

    /// True if the text contains only white space.
    package var isBlank: Bool { scalars.allSatisfy(ScalarSet.isSpace) }

    private static func tail(of scalars: [UInt32]) -> [UInt32]? {
        var memory = Regex.Memory()
        guard let match = ending.firstMatch(in: scalars, memory: &memory), match[2] >= 0 else { return nil }
        return Array(scalars[match[2]..<match[3]])
    }

    static let key = #"\s*(\S+?)\s*"#
    private static let value = #"""|''|"(.+?)"|'(.+?)'|({.+?})|(\S+)"#
    private static let pairSource = #"(?:^|\s+)"# + key + "=(" + value + ")"
    private static let pair = Regex.known(pairSource)
    private static let ending = Regex.known(#"^.*?(("# + pairSource + #"\s*)*)$"#)
}

extension Regex {
    /// Compiles a constant expression. An invalid one is a programming error.
    static func known(_ source: String, dotAll: Bool = true) -> Regex {
        do {
            return try Regex(source, dotAll: dotAll)
        } catch {
            preconditionFailure("\(source): \(error)")
        }
    }
}

extension [UInt32] {
    var text: String { self[...].text }

    func text(of group: Int, in match: [Int]) -> String {
        match[2 * group] < 0 ? "" : self[match[2 * group]..<match[2 * group + 1]].text
    }

    /// Returns the array without any occurrence of `part`, from left to right, in linear time (Knuth, Morris, Pratt
    /// 1977).
    func removing(_ part: [UInt32]) -> [UInt32] {
        var fallback = [0]
        for index in part.indices.dropFirst() {
            var length = fallback[index - 1]
            while length > 0, part[length] != part[index] { length = fallback[length - 1] }
            fallback.append(part[length] == part[index] ? length + 1 : 0)
        }
        var rest: [UInt32] = []
        var length = 0
        for value in self {
            while length > 0, part[length] != value { length = fallback[length - 1] }
            if part[length] == value { length += 1 }
            rest.append(value)
            if length == part.count {
                rest.removeLast(part.count)
                length = 0
            }
        }
        return rest
    }
}

extension ArraySlice<UInt32> {
    var text: String {
        var view = String.UnicodeScalarView()
        for value in self { if let scalar = Unicode.Scalar(value) { view.append(scalar) } }
        return String(view)
    }
}
