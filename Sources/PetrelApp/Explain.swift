import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport

/// The command `petrel explain`.
struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain how a command line is matched and authorized, without running it.")

    @OptionGroup var file: ConfigOption

    @Option(help: "The user: an ID, a @name, or both as ID/@name.")
    var user = "@\(NSUserName())"

    @Option(help: "The room: an ID or #name; a direct chat if omitted.")
    var room: String?

    @Option(help: "The backend, if several are configured.")
    var backend: String?

    @Flag(help: "Print JSON.")
    var json = false

    @Argument(help: "The command line, with or without the prefix.")
    var line: String

    func validate() throws {
        if line.unicodeScalars.allSatisfy(\.properties.isWhitespace) { throw Self.missing }
    }

    /// The error of a line without a command, such as one that is only the prefix.
    private static let missing = ValidationError("The command line is empty: give the line to explain.")

    func run() async throws {
        do {
            let configuration = try Configuration.read(file.config)
            let explanation = try await explanation(configuration)
            print(json ? explanation.json : explanation.text)
        } catch let error as ValidationError {
            throw error
        } catch {
            throw ExitStatus.of(error)
        }
    }

    private func explanation(_ configuration: Configuration) async throws -> Explanation {
        let core = configuration.core
        // `U7/@bob` contains both an id and a name.
        let parts = user.components(separatedBy: "/@")
        let person = parts.count == 2 ? Person(id: parts[0], name: "@" + parts[1]) : Person(id: user, name: user)
        let (room, named) = prefixed(room, configuration)
        let place = room.map { Room(id: $0, name: $0) }
        let whole = CommandText(line).text
        let message = ChatMessage(id: "", sender: person, room: place, text: line)
        let text = core.prefixes.strip(whole, from: message) ?? whole
        guard !CommandText.line(of: text).isEmpty else { throw Self.missing }
        let store = try Self.store(of: configuration)
        let table = try await Bot.commands(of: configuration, store)
        let match = table.find(text)
        let on = try backend == nil ? named ?? chosenBackend(configuration) : chosenBackend(configuration)
        var question =
            match?.parsed().question(by: person, in: place, on: on)
            ?? AccessControl.Question(
                person: person, room: place, backend: on, module: "", lines: [CommandText.line(of: text)])
        let explanation = try await explained(match, configuration, store)
        if let match, let explanation {
            question = CommandTable.Parsed(match: match, line: explanation.parsed).question(
                by: person, in: place, on: on)
        }
        return Explanation(
            command: question.lines[0], decision: configuration.policy.access.decide(question),
            module: match?.entry.module, name: match?.entry.command.name, more: explanation,
            longer: match == nil ? table.entries.map(\.command).beginning(with: text).map(\.name) : [],
            mayBeAdded: configuration.outlines.contains(where: \.addsCommands))
    }

    /// Returns the store; nil before the first start.
    private static func store(of configuration: Configuration) throws -> Store? {
        let path = configuration.core.store.path
        return FileManager.default.fileExists(atPath: path) ? try Store(readingOnly: path) : nil
    }

    /// Returns the explanation of the plug-in to which the command belongs.
    private func explained(
        _ match: CommandTable.Match?, _ configuration: Configuration, _ store: Store?
    ) async throws -> LineExplanation? {
        guard let match else { return nil }
        let module = match.entry.module
        let plugIn = configuration.modules.first { $0.outlines.contains { $0.name == module } }
        guard let plugIn = plugIn as? any LineExplaining else { return nil }
        return try await plugIn.explain(
            match.arguments, of: match.entry.command.name, in: module, storage: store?.storage(for: module))
    }

    /// Splits a room such as `slack/#ops` into the room and its backend.
    private func prefixed(_ room: String?, _ configuration: Configuration) -> (room: String?, backend: String?) {
        guard let room, let name = configuration.backends.map(\.name).first(where: { room.hasPrefix($0 + "/") }) else {
            return (room, nil)
        }
        return (String(room.unicodeScalars.dropFirst(name.unicodeScalars.count + 1)), name)
    }

    private func chosenBackend(_ configuration: Configuration) throws -> String {
        let names = configuration.backends.map(\.name)
        guard let backend else { return names.first ?? "" }
        guard names.contains(backend) else {
            throw ConfigurationFailure(
                file: file.config,
                problems: [
                    SettingsProblem(
                        path: "backends",
                        message: "there is no backend \"\(backend)\"; the backends are \(names.joined(separator: ", "))"
                    )
                ])
        }
        return backend
    }
}

/// The output of `petrel explain`.
struct Explanation {
    var command: String
    var decision: AccessDecision
    /// The module and the name of the command; nil for an unknown command.
    var module: String?
    var name: String?
    /// The explanation of the module's plug-in.
    var more: LineExplanation?

    /// The commands that begin with the words of an unknown command.
    var longer: [String] = []
    /// True if modules can have commands that only the running bot knows.
    var mayBeAdded = false

    private var isAllowed: Bool { module != nil && decision.isAllowed }
    private var reason: String {
        if module != nil { return decision.reason }
        if !longer.isEmpty { return "incomplete command: \(longer.joined(separator: ", "))" }
        let hint = ": only the running bot knows the commands of plug-ins that are programs; ask it with `!acl why`"
        return "unknown command" + (mayBeAdded ? hint : "")
    }

    var text: String {
        var rows = [("command", command), ("allowed", isAllowed ? "yes" : "no")]
        rows.append(("rule", decision.rule.map { "access_controls[\($0.index)] “\($0.command)”" } ?? "none"))
        rows.append(("reason", reason))
        if let module, let name { rows.append(("module", name.isEmpty ? module : "\(module) (\(name))")) }
        rows += (more?.rows ?? []).map { ($0.label, $0.text) }
        return rows.map { label, text in
            Printable.line(label.padding(toLength: max(10, label.count + 1), withPad: " ", startingAt: 0) + text)
        }.joined(separator: "\n")
    }

    var json: String {
        var object: [String: JSONValue] = [
            "allowed": .bool(isAllowed), "rule": decision.rule.map { .integer($0.index) } ?? .null,
            "reason": .string(reason), "command": .string(command),
            "module": module.map { .string($0) } ?? .null,
        ]
        object.merge(more?.fields ?? [:]) { own, _ in own }
        return JSONValue.object(object).prettyText
    }
}
