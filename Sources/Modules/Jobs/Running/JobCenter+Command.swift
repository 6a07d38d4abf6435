import CoreMetrics
import JobEngine
import PetrelKit
import PetrelSupport

extension JobCenter {
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
