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
        let message = ChatMessage(
            id: "", sender: Person(id: user, name: user), room: room.map { Room(id: $0, name: $0) }, text: line)
        let whole = CommandText(line).text
        let text = core.prefixes.strip(whole, from: message) ?? whole
        var explanation = Explanation(command: CommandText.line(of: text))
        let names = BuiltinsModule.names + configuration.stackStorms.map(\.commandNames[1])
        explanation.botCommand = names.first {
            CommandTable([("", Command($0, summary: "") { _ in nil })]).find(text) != nil
        }
        if explanation.botCommand != nil { return explanation }
        for settings in configuration.stackStorms {
            guard let rest = settings.aliasLine(of: text) else { continue }
            let store = try? Store(readingOnly: core.storePath)
            explanation.alias = try await settings.explain(rest, storage: store?.storage(for: settings.name))
            break
        }
        return explanation
    }
}

/// What `petrel explain` prints.
struct Explanation {
    var command: String
    var alias: AliasExplanation?
    /// A command of Petrel's own.
    var botCommand: String?

    private var allowed: (Bool, String) { (true, "no access rule is configured: allowed to everybody") }

    var text: String {
        var lines = ["command   \(command)", "allowed   \(allowed.0 ? "yes" : "no"), \(allowed.1)"]
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
            "allowed": .bool(allowed.0), "rule": .null, "reason": .string(allowed.1), "command": .string(command),
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
