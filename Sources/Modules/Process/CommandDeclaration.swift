import PetrelKit
import PetrelSupport
import PlugInProtocol

/// A command that a program declares.
struct CommandDeclaration: Sendable {
    private static let most = 1_000

    var name: String
    var summary: String
    var usage: String
    var grammar: ArgumentGrammar?
    var timeout: Duration
    private var isAdminOnly: Bool
    private var isDirectOnly: Bool
    private var needsStableIdentity: Bool
    private var isListed: Bool
    private var otherNames: [String]
    private var lines: [String]
    /// The names of the secret arguments of all commands: a mistyped line may reach another command.
    private var secrets: Set<String> = []

    /// Reads the commands of a program. Throws an ``RPCError`` that names the command that is wrong.
    static func list(_ value: JSONValue?, timeout: Duration) throws(RPCError) -> [CommandDeclaration] {
        let members = try Members(["commands": value ?? .array([])])
        var names: Set<String> = []
        var declarations: [CommandDeclaration] = []
        for value in try members.list("commands", atMost: most) {
            let declaration: CommandDeclaration
            do { declaration = try CommandDeclaration(try Members(value, "commands"), timeout) } catch {
                let name =
                    value["name"]?.string.map { "“\(line($0, atMost: 40))”" } ?? "number \(declarations.count + 1)"
                throw .parameters("command \(name): \(error.message)")
            }
            for name in declaration.names {
                guard names.insert(Command.key(name)).inserted else {
                    throw .parameters("there are two commands “\(name)”")
                }
            }
            declarations.append(declaration)
        }
        let secrets = Set(declarations.flatMap { $0.grammar?.arguments.filter(\.isSecret).map(\.name) ?? [] })
        for index in declarations.indices { declarations[index].secrets = secrets }
        return declarations
    }

    /// The names by which the command can be called.
    var names: [String] { [name] + otherNames }

    private init(_ members: Members, _ timeout: Duration) throws(RPCError) {
        name = try Self.name(try members.string("name"))
        summary = Self.line(try members.string("summary"), atMost: 200)
        grammar = try ArgumentGrammar(members)
        usage = Self.line(try members.optionalString("usage") ?? grammar?.usage ?? "", atMost: 200)
        isAdminOnly = try members.bool("admin_only")
        isDirectOnly = try members.bool("direct_only")
        needsStableIdentity = try members.bool("stable_identity")
        isListed = try members.bool("listed", default: true)
        otherNames = []
        for other in try members.strings("other_names", atMost: 20) { otherNames.append(try Self.name(other)) }
        lines = try members.strings("lines", atMost: 1_000).map { Self.line($0, atMost: 200) }
        let seconds = try members.integer("timeout")
        guard (1...3_600).contains(seconds ?? 1) else { throw .parameters("`timeout` must be from 1 to 3,600") }
        self.timeout = seconds.map { .seconds($0) } ?? timeout
    }

    /// Checks a name, and returns it with single spaces.
    private static func name(_ text: String) throws(RPCError) -> String {
        let words = text.unicodeScalars.split { $0.properties.isWhitespace }
        let name = words.map { String(String.UnicodeScalarView($0)) }.joined(separator: " ")
        guard (1...100).contains(name.unicodeScalars.count), name.unicodeScalars.allSatisfy(isPlain) else {
            throw .parameters(
                "“\(line(text, atMost: 40))” is not a name for a command: use letters, digits, `_` and `-`")
        }
        return name
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || "0123456789 _-".unicodeScalars.contains(scalar)
    }

    private static func line(_ text: String, atMost limit: Int) -> String {
        Printable.line(String(String.UnicodeScalarView(text.unicodeScalars.prefix(limit))))
    }

    /// Returns the command with this handler.
    func command(_ handler: @escaping Command.Handler) -> Command {
        let lines = lines.map { "\(name) \($0)" }
        var command = Command(
            name, usage: usage, summary: summary, isAdminOnly: isAdminOnly, isDirectOnly: isDirectOnly,
            needsStableIdentity: needsStableIdentity, isListed: isListed, otherNames: otherNames,
            handler: handler)
        if !lines.isEmpty { command.lines = { lines } }
        let masking = SecretMask(secrets)
        command.parse = { [grammar] arguments, values in Self.parsed(grammar, masking, arguments, values) }
        if !secrets.isEmpty {
            command.masking = { [grammar] in Self.parsed(grammar, masking, $0, nil).masked }
        }
        return command
    }

    /// Parses a line. Access rules evaluate the values as well, because quotation marks and names may hide them.
    private static func parsed(
        _ grammar: ArgumentGrammar?, _ mask: SecretMask, _ arguments: String, _ form: [String: String]?
    ) -> ParsedLine {
        guard let grammar else {
            let pairs = (form ?? [:]).sorted { $0.key < $1.key }
            let masked = [mask.masked(arguments)] + pairs.map { mask.masked(name: $0.key, $0.value) }
            return ParsedLine(0, masked: masked.filter { !$0.isEmpty }.joined(separator: " ")) {
                pairs.map { .part($0.value) }
            }
        }
        let values = grammar.parse(arguments, form)
        // A line that does not fit may contain a secret anywhere.
        let masked = values.problem != nil && grammar.hasSecrets ? "•••" : values.masked
        return ParsedLine(values, masked: grammar.hasSecrets || form != nil ? masked : mask.masked(arguments)) {
            let texts = values.texts
            return [.text(texts.joined(separator: " "))] + texts.map { .part($0) }
        }
    }
}
