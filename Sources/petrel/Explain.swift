import ArgumentParser
import BuiltinsModule
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import StackStormModule

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a line would do, and why. Runs nothing.")

    @OptionGroup var file: ConfigOption

    @Option(help: "Who types, by id or @name.")
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
        let person = Person(id: user, name: user)
        let place = room.map { Room(id: $0, name: $0) }
        let whole = CommandText(line).text
        let message = ChatMessage(id: "", sender: person, room: place, text: line)
        let text = core.prefixes.strip(whole, from: message) ?? whole
        let match = try PetrelApp.commands(of: configuration).find(text)
        let on = try chosenBackend(configuration)
        let question =
            match?.question(by: person, in: place, on: on)
            ?? AccessControl.Question(
                person: person, room: place, backend: on, module: "", lines: [CommandText.line(of: text)])
        var explanation = Explanation(
            command: question.lines[0], decision: configuration.policy.access.decide(question))
        let settings = configuration.stackStorms.first { $0.name == match?.entry.module }
        if let settings, match?.entry.command.name == settings.prefix, let match {
            let store = try? Store(readingOnly: core.storePath)
            explanation.alias = try await settings.explain(
                match.arguments, storage: store?.storage(for: settings.name))
        } else {
            explanation.botCommand = match?.entry.command.name
        }
        return explanation
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

    var text: String {
        var lines = ["command   \(command)", "allowed   \(decision.isAllowed ? "yes" : "no")"]
        lines.append("rule      " + (decision.rule.map { "access_controls[\($0.index)] “\($0.command)”" } ?? "none"))
        lines.append("reason    \(decision.reason)")
        switch alias {
        case nil:
            lines.append(
                "alias     none: " + (botCommand.map { "this is the bot's own “\($0)”" } ?? "no command is called that")
            )
        case .matched(let ref, let format, let parameters):
            lines += ["alias     \(ref)", "format    \(format)"]
            lines += parameters.map { "parameter \($0.name) = \($0.value ?? "null")" }
        case .failed(let reason): lines.append("alias     none: \(reason)")
        }
        return lines.joined(separator: "\n")
    }

    var json: String {
        var object: [String: JSONValue] = [
            "allowed": .bool(decision.isAllowed), "rule": decision.rule.map { .integer($0.index) } ?? .null,
            "reason": .string(decision.reason), "command": .string(command),
            "alias": .null, "format": .null, "parameters": .null,
        ]
        switch alias {
        case nil: break
        case .matched(let ref, let format, let parameters):
            object["alias"] = .string(ref)
            object["format"] = .string(format)
            object["parameters"] = .object(
                Dictionary(parameters.map { ($0.name, $0.value.map { .string($0) } ?? .null) }) { _, last in last })
        case .failed(let reason): object["alias_reason"] = .string(reason)
        }
        return JSONValue.object(object).prettyText
    }
}
