import CoreMetrics
import JobEngine
import PetrelKit
import PetrelSupport

extension JobCenter {
    /// Returns the arguments of a built-in command with the secrets of a line masked that begins somewhere in them, as by a
    /// slip of the hand.
    func maskedWithin(_ arguments: String) -> String {
        let names = Set(definitions.filter { !$0.secrets.isEmpty }.map { Command.key($0.name) })
        guard !names.isEmpty else { return arguments }
        let scalars = arguments.unicodeScalars
        for word in scalars.split(whereSeparator: \.isSeparator) {
            // A quotation mark or the prefix of the bot may stand before it.
            let name = word.drop { !$0.properties.isAlphabetic && $0.properties.numericType == nil }
            let end = name.firstIndex { "\"'`".unicodeScalars.contains($0) } ?? name.endIndex
            guard names.contains(Command.key(String(name[..<end]))) else { continue }
            return String(scalars[..<name.startIndex]) + host.rules.masked(String(scalars[name.startIndex...]))
        }
        return arguments
    }

    /// Returns the command that starts jobs of a definition.
    func command(_ definition: CommandDefinition) -> Command {
        let rules = host.rules
        var command = Command(
            definition.name, usage: "[arguments]", summary: definition.summary,
            parse: { line, _ in JobCall.parse(line, of: definition) },
            handler: { try await self.handle(definition, $0) })
        command.details = definition.help.details(prefix: host.bot.prefix)
        if !definition.help.lines.isEmpty { command.lines = { definition.help.lines } }
        command.objection = { caller in
            self.stealthObjection(to: caller) ?? definition.rights.objection(to: caller, of: definition.origin, rules)
        }
        command.refusal = { caller, decision in
            self.meters.received.increment()
            self.meters.rejected.increment()
            // Nil would stand for the reply of the host.
            if definition.format.styles[.unauthorized] == .disabled { return Reply("") }
            var values = self.values(of: caller, definition.name)
            values.error = decision.reason
            var reply = self.writer(definition.format).reply(.unauthorized, values, kind: .error)
            reply?.isPrivate = true
            return reply
        }
        return command
    }

    private func handle(_ definition: CommandDefinition, _ invocation: Invocation) async throws -> Reply? {
        meters.received.increment()
        let call = invocation.parsed as? JobCall
        guard let arguments = call?.arguments else {
            meters.rejected.increment()
            throw Refusal(call?.problem ?? "The line cannot be split into arguments.")
        }
        var origin = JobOrigin(caller: CommandCaller(invocation), address: invocation.address)
        origin.text = definition.name + (invocation.arguments.isEmpty ? "" : " " + invocation.arguments)
        origin.arguments = invocation.arguments
        let job = try await start(definition, arguments, origin) { reply, marks in invocation.say(reply, marks) }
        invocation.started("job \(job.id)", nil)
        return nil
    }
}
