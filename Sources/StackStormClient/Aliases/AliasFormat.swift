import PetrelSupport

/// A compiled representation of an alias, such as `deploy {{ app }} to {{ env=staging }}`.
///
/// Matching has the same results as StackStorm's parser (`st2common.models.utils.action_alias_utils`).
package struct AliasFormat: Sendable {
    /// An error of a format or of a command.
    package enum Failure: Error, Equatable, CustomStringConvertible {
        /// The format is invalid for StackStorm as well. The value is StackStorm's message.
        case invalid(String)
        /// The format uses a construct that only StackStorm supports. The value describes it.
        case unsupported(String)
        /// The command does not match the format. The value is StackStorm's message.
        case mismatch(String)

        /// The message.
        package var description: String {
            switch self {
            case .invalid(let text), .mismatch(let text): text
            case .unsupported(let what): "uses \(what), which only StackStorm itself can match"
            }
        }
    }

    /// A parameter of a command.
    package struct Parameter: Equatable, Sendable {
        /// The name of the parameter.
        package var name: String
        /// The value, or nil if the parameter did not take part in the match.
        package var value: String?
    }

    /// A closure that is called with the representation each time a command is matched against it, for tests.
    package typealias Observer = @Sendable (_ source: String) -> Void

    /// The representation.
    package let source: String
    /// The regular expression that StackStorm builds from the representation.
    package let pattern: String
    /// The text that every command of this format starts with, after leading white space.
    let prefix: [UInt32]
    private let regex: Regex
    private let defaults: [CommandStream.Pair]
    private let tried: Observer?

    /// Compiles a representation. Throws ``Failure/invalid(_:)`` or ``Failure/unsupported(_:)``.
    package init(_ source: String, tried: Observer? = nil) throws(Failure) {
        self.source = source
        self.tried = tried
        let scalars = source.unicodeScalars.map(\.value)
        defaults = Self.optionalValue.allMatches(in: scalars).map { match in
            CommandStream.Pair(
                key: scalars.text(of: 1, in: match), value: (2...5).map { scalars.text(of: $0, in: match) }.joined())
        }
        let body = Self.replace(
            Self.required, in: Self.replace(Self.optional, in: scalars, optional: true), optional: false)
        do {
            pattern = try Self.anchored(body.text)
            let parsed = try RegexParser.parse(pattern, dotAll: true)
            regex = try Regex(parsed)
            prefix = Self.prefix(of: parsed.node)
        } catch {
            switch error {
            case .invalid(let text): throw .invalid(text)
            case .unsupported(let what): throw .unsupported(what)
            }
        }
        for pair in defaults where !regex.names.contains(pair.key) {
            throw .unsupported("a default value of several lines")
        }
    }

    /// Returns the parameters of a command, in order. Throws ``Failure/mismatch(_:)`` if the command does not match.
    package func parameters(of stream: CommandStream) throws(Failure) -> [Parameter] {
        var memory = Regex.Memory()
        return try match(stream, memory: &memory).parameters
    }

    /// Matches a command. Throws ``Failure/mismatch(_:)`` if the command does not match.
    func match(_ stream: CommandStream, memory: inout Regex.Memory) throws(Failure) -> AliasCapture {
        tried?(source)
        guard let match = regex.firstMatch(in: stream.scalars, memory: &memory) else {
            throw .mismatch("Command \"\(stream.command)\" doesn't match format string \"\(source)\"")
        }
        let spans = regex.names.enumerated().compactMap { number, name -> AliasCapture.Span? in
            guard let name, match[2 * number] >= 0 else { return nil }
            return AliasCapture.Span(name: name, range: match[2 * number]..<match[2 * number + 1])
        }
        return AliasCapture(stream: stream, spans: spans, parameters: try parameters(of: stream, match))
    }

    private func parameters(of stream: CommandStream, _ match: [Int]) throws(Failure) -> [Parameter] {
        var parameters: [Parameter] = []
        func set(_ name: String, _ value: String?) {
            if let index = parameters.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
                parameters[index].value = value
            } else {
                parameters.append(Parameter(name: name, value: value))
            }
        }
        for (number, name) in regex.names.enumerated() {
            if let name { set(name, match[2 * number] < 0 ? nil : stream.scalars.text(of: number, in: match)) }
        }
        for pair in defaults {
            let matched = parameters.first { $0.name.utf8.elementsEqual(pair.key.utf8) }?.value ?? ""
            if matched.isEmpty { set(pair.key, pair.value) }
        }
        for pair in stream.pairs { set(pair.key, pair.value) }
        if !source.isEmpty, stream.isBlank, parameters.allSatisfy({ ($0.value ?? "").isEmpty }) {
            throw .mismatch("No value supplied and no default value found.")
        }
        return parameters
    }
}

extension AliasFormat {
    private static let value = #"""|''|"(.+?)"|'(.+?)'|({.+?})|(.+?)"#
    private static let optionalSource = "{{" + CommandStream.key + #"\s*=\s*(?:"# + value + #")\s*}}"#
    private static let optionalValue = Regex.known(optionalSource)
    private static let optional = Regex.known(#"(\s*)"# + optionalSource, dotAll: false)
    private static let required = Regex.known(#"(\s*){{"# + CommandStream.key + "}}", dotAll: false)
    private static let capture = #">(?:(?<=\').+?(?=\')|(?<=").+?(?=")|{.+?}|.+?))["\']?"#

    /// Replaces each `{{ … }}` with a named group. White space before an optional parameter becomes part of its group.
    private static func replace(_ marker: Regex, in scalars: [UInt32], optional: Bool) -> [UInt32] {
        var result: [UInt32] = []
        var done = 0
        for match in marker.allMatches(in: scalars) {
            let space = scalars.text(of: 1, in: match)
            let group = space + #"["\']?(?P<"# + scalars.text(of: 2, in: match) + capture
            result += scalars[done..<match[0]]
            result += (optional ? "(?:\(group))?" : group).unicodeScalars.map(\.value)
            done = match[1]
        }
        return result + scalars[done...]
    }

    private static func anchored(_ body: String) throws(RegexError) -> String {
        if let rest = body.afterGlobalFlags, try !RegexParser.parse(rest, dotAll: true).node.holds(.begin) {
            throw .invalid("global flags not at the start of the expression at position 4")
        }
        let node = try RegexParser.parse(body, dotAll: true).node
        return (node.holds(.begin) ? "" : #"^\s*"#) + body + (node.holds(.end) ? "" : #"\s*$"#)
    }

    /// Returns the literal characters after `^\s*` that every match starts with.
    private static func prefix(of node: RegexNode) -> [UInt32] {
        guard case .sequence(let items) = node, items.count > 2, items[0] == .assertion(.begin),
            items[1] == .loop(.set(ScalarSet(classes: [.space])), minimum: 0, maximum: nil, isGreedy: true)
        else { return [] }
        var prefix: [UInt32] = []
        for item in items.dropFirst(2) {
            guard case .character(let value) = item else { break }
            prefix.append(value)
        }
        // Leading white space could also be matched by the `\s*` before it.
        return prefix.first.map(ScalarSet.isSpace) == false ? prefix : []
    }
}

extension RegexNode {
    /// Returns true if StackStorm considers the pattern anchored at its begin or end, and therefore adds no anchor
    /// there.
    ///
    /// StackStorm searches groups. Of alternatives, it searches only the second one, after Python has factored out
    /// their common prefix.
    func holds(_ anchor: Assertion) -> Bool {
        switch self {
        case .assertion(let assertion):
            return anchor == .begin ? assertion == .begin : assertion == .end || assertion == .absoluteEnd
        case .sequence(let items): return items.contains { $0.holds(anchor) }
        case .group(_, let inner): return inner.holds(anchor)
        case .alternatives(let options):
            var options = options.map(\.items)
            while let first = options[0].first, options.allSatisfy({ $0.first == first }) {
                if first.holds(anchor) { return true }
                for index in options.indices { options[index].removeFirst() }
            }
            return options[1].contains { $0.holds(anchor) }
        case .character, .any, .set, .loop: return false
        }
    }

    private var items: [RegexNode] {
        if case .sequence(let items) = self { items.flatMap(\.items) } else { [self] }
    }
}

extension String {
    /// The text after flags such as `(?i)` at its start, or nil if none exist.
    fileprivate var afterGlobalFlags: String? {
        let scalars = unicodeScalars
        guard scalars.starts(with: "(?".unicodeScalars), let end = scalars.firstIndex(of: ")") else { return nil }
        let flags = scalars[..<end].dropFirst(2)
        guard !flags.isEmpty, flags.allSatisfy({ "aiLmsux".unicodeScalars.contains($0) }) else { return nil }
        return String(scalars[scalars.index(after: end)...])
    }
}
