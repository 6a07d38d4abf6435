import PetrelKit
import PetrelSupport
import PlugInProtocol

/// The declared arguments of a command.
struct ArgumentGrammar: Sendable {
    /// The type of a value.
    enum Kind: String, Sendable { case text, integer, number, boolean, choice }

    /// A declared argument.
    struct Argument: Sendable {
        var name: String
        var kind: Kind
        var choices: [String]
        var isRequired: Bool
        var isSecret: Bool
        /// True if the argument takes the remaining text as it is.
        var takesRest: Bool
    }

    let arguments: [Argument]

    /// Reads the member `arguments` of a command; nil if it is missing.
    init?(_ command: Members) throws(RPCError) {
        guard command["arguments"] != nil else { return nil }
        var arguments: [Argument] = []
        for value in try command.list("arguments", atMost: 50) {
            let members = try Members(value, "arguments")
            arguments.append(
                Argument(
                    name: try members.string("name"), kind: try members.choice("type") ?? .text,
                    choices: try members.strings("choices", atMost: 100), isRequired: try members.bool("required"),
                    isSecret: try members.bool("secret"), takesRest: try members.bool("rest")))
        }
        for (index, argument) in arguments.enumerated() {
            guard Self.isName(argument.name) else {
                throw .parameters("“\(argument.name.prefix(40))” is not a name: use letters, digits, `_` and `-`")
            }
            guard !arguments[..<index].contains(where: { $0.name == argument.name }) else {
                throw .parameters("there are two arguments “\(argument.name)”")
            }
            guard argument.kind != .choice || !argument.choices.isEmpty else {
                throw .parameters("the argument “\(argument.name)” has no `choices`")
            }
            guard !argument.takesRest || index == arguments.count - 1 else {
                throw .parameters("only the last argument can have `rest`")
            }
        }
        self.arguments = arguments
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 64
            && name.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D: true
                default: false
                }
            }
    }

    /// The syntax for help, such as `CITY [days=N]`.
    var usage: String {
        arguments.map { argument in
            let text = argument.takesRest ? "\(argument.name)…" : argument.name
            return argument.isRequired ? "<\(text)>" : "[\(text)]"
        }.joined(separator: " ")
    }

    /// True if an argument is secret.
    var hasSecrets: Bool { arguments.contains(where: \.isSecret) }
}

extension ArgumentGrammar {
    /// The values of a line, or the reason why it does not fit.
    struct Values: Sendable {
        /// The values by name, in the order of the declaration.
        var values: [(argument: Argument, text: String)] = []
        /// The reason, as a sentence; nil if the line fits.
        var problem: String?

        /// The values as JSON.
        var json: [String: JSONValue] {
            values.reduce(into: [:]) { $0[$1.argument.name] = $1.argument.json($1.text) }
        }

        /// The values as text, in the order of the declaration.
        var texts: [String] { values.map(\.text) }

        /// The line with the values of secret arguments masked.
        var masked: String {
            values.map { "\($0.argument.name)=\($0.argument.isSecret ? "•••" : Self.quoted($0.text))" }
                .joined(separator: " ")
        }

        private static func quoted(_ text: String) -> String {
            let isPlain = !text.isEmpty && !text.unicodeScalars.contains { $0.properties.isWhitespace || $0 == "\"" }
            return isPlain ? text : "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
        }
    }

    /// Parses the arguments of a line, or the values of a form.
    func parse(_ line: String, _ form: [String: String]?) -> Values {
        if let form { return checked(form) }
        var words = ArgumentWords(line)
        var found: [String: String] = [:]
        while !words.isAtEnd {
            let name = words.assignment(among: arguments.map(\.name))
            let next = arguments.first { argument in
                name.map { argument.name == $0 } ?? (found[argument.name] == nil)
            }
            guard let argument = next else { return Values(problem: "There are too many arguments.") }
            guard found[argument.name] == nil else { return Values(problem: "`\(argument.name)` is given twice.") }
            if argument.takesRest {
                found[argument.name] = words.takeRest()
            } else {
                switch words.next() {
                case .word(let text): found[argument.name] = text
                case .unclosed(let mark): return Values(problem: "The quotation mark `\(mark)` is not closed.")
                }
            }
        }
        return checked(found)
    }

    private func checked(_ found: [String: String]) -> Values {
        var values = Values()
        for argument in arguments {
            guard let text = found[argument.name], !text.isEmpty || argument.kind == .text else {
                if argument.isRequired { values.problem = values.problem ?? "`\(argument.name)` is missing." }
                continue
            }
            if let rule = argument.rule(brokenBy: text) {
                values.problem = values.problem ?? "`\(argument.name)` must be \(rule)."
            }
            values.values.append((argument, text))
        }
        let names = Set(arguments.map(\.name))
        if let unknown = found.keys.sorted().first(where: { !names.contains($0) }) {
            values.problem = values.problem ?? "There is no argument “\(unknown.prefix(40))”."
        }
        return values
    }
}

extension ArgumentGrammar.Argument {
    /// Returns the rule that a value does not follow; nil if it is valid.
    fileprivate func rule(brokenBy text: String) -> String? {
        switch kind {
        case .text: nil
        case .integer: Int(text) == nil ? "a whole number" : nil
        case .number: Double(text).map(\.isFinite) == true ? nil : "a number"
        case .boolean: Self.truth(text) == nil ? "true or false" : nil
        case .choice:
            choices.contains { $0.utf8.elementsEqual(text.utf8) } ? nil : "one of \(choices.joined(separator: ", "))"
        }
    }

    fileprivate func json(_ text: String) -> JSONValue {
        switch kind {
        case .text, .choice: .string(text)
        case .integer: Int(text).map { .integer($0) } ?? .string(text)
        case .number: Double(text).map { .number($0) } ?? .string(text)
        case .boolean: .bool(Self.truth(text) ?? false)
        }
    }

    private static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }
}
