import ArgumentParser
import BuiltinsModule
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport
import StackStormModule

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a line would do, and why. Runs nothing.")

    @OptionGroup var file: ConfigOption

    @Option(help: "Who types: an id, a @name, or both as ID/@name.")
    var user = "@\(NSUserName())"

    @Option(help: "Where, by id or #name. Without it: a direct chat.")
    var room: String?

    @Option(help: "On which backend, where several are configured.")
    var backend: String?

    @Flag(help: "As JSON.")
    var json = false

    @Argument(help: "The line, with or without the prefix.")
    var line: String

    func run() async throws {
        do {
            let configuration = try Configuration.read(file.config)
            let explanation = try await explanation(configuration)
            print(json ? explanation.json : explanation.text)
        } catch {
            throw ExitStatus.of(error)
        }
    }

    private func explanation(_ configuration: Configuration) async throws -> Explanation {
        let core = configuration.core
        // `U7/@bob` says both.
        let parts = user.components(separatedBy: "/@")
        let person = parts.count == 2 ? Person(id: parts[0], name: "@" + parts[1]) : Person(id: user, name: user)
        let (room, named) = prefixed(room, configuration)
        let place = room.map { Room(id: $0, name: $0) }
        let whole = CommandText(line).text
        let message = ChatMessage(id: "", sender: person, room: place, text: line)
        let text = core.prefixes.strip(whole, from: message) ?? whole
        let match = try PetrelApp.commands(of: configuration).find(text)
        let on = try backend == nil ? named ?? chosenBackend(configuration) : chosenBackend(configuration)
        var question =
            match?.parsed().question(by: person, in: place, on: on)
            ?? AccessControl.Question(
                person: person, room: place, backend: on, module: "", lines: [CommandText.line(of: text)])
        let settings = configuration.stackStorms.first { $0.name == match?.entry.module }
        var alias: AliasExplanation?
        if let settings, let match, match.entry.command.name == settings.prefix {
            let store = try? Store(readingOnly: core.store.path)
            let (found, parsed) = try await settings.explain(
                match.arguments, storage: store?.storage(for: settings.name))
            alias = found
            question = CommandTable.Parsed(match: match, line: parsed).question(by: person, in: place, on: on)
        }
        return Explanation(
            command: question.lines[0], decision: configuration.policy.access.decide(question), alias: alias,
            botCommand: alias == nil ? match?.entry.command.name : nil, isCommand: match != nil)
    }

    /// `slack/#ops`: the room, and its backend.
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
                        message: "no backend is called \"\(backend)\"; there is \(names.joined(separator: ", "))")
                ])
        }
        return backend
    }
}

/// What `petrel explain` prints.
struct Explanation {
    var command: String
    var decision: AccessDecision
    var alias: AliasExplanation?
    /// A command of Petrel's own.
    var botCommand: String?
    /// Something answers to the line.
    var isCommand: Bool

    private var isAllowed: Bool { isCommand && decision.isAllowed }
    private var reason: String { isCommand ? decision.reason : "no command is called that" }

    var text: String {
        var lines = ["command   \(command)", "allowed   \(isAllowed ? "yes" : "no")"]
        lines.append("rule      " + (decision.rule.map { "access_controls[\($0.index)] “\($0.command)”" } ?? "none"))
        lines.append("reason    \(reason)")
        switch alias {
        case nil:
            lines.append(
                "alias     none: " + (botCommand.map { "this is the bot's own “\($0)”" } ?? "no command is called that")
            )
        case .matched(let ref, let format, let parameters):
            lines += ["alias     \(ref)", "format    \(format)"]
            lines += parameters.map { "parameter \($0.name) = \($0.value ?? "null")" }
        case .verb(let verb): lines.append("alias     none: this is Petrel's own “\(verb)” for StackStorm")
        case .failed(let reason): lines.append("alias     none: \(reason)")
        }
        return lines.map { Printable.line($0) }.joined(separator: "\n")
    }

    var json: String {
        var object: [String: JSONValue] = [
            "allowed": .bool(isAllowed), "rule": decision.rule.map { .integer($0.index) } ?? .null,
            "reason": .string(reason), "command": .string(command),
            "alias": .null, "format": .null, "parameters": .null,
        ]
        switch alias {
        case nil: break
        case .matched(let ref, let format, let parameters):
            object["alias"] = .string(ref)
            object["format"] = .string(format)
            object["parameters"] = .object(
                Dictionary(parameters.map { ($0.name, $0.value.map { .string($0) } ?? .null) }) { _, last in last })
        case .verb(let verb): object["verb"] = .string(verb)
        case .failed(let reason): object["alias_reason"] = .string(reason)
        }
        return JSONValue.object(object).prettyText
    }
}
