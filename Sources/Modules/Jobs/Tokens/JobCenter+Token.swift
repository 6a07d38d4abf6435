import CoreMetrics
import Foundation
import Logging
import PetrelKit
import PetrelSupport

/// A line that a program sends: found, parsed and evaluated once, and then run.
private struct TokenCall {
    var judged: JudgedCall
    var definition: CommandDefinition
    var parsed: JobCall
}

extension JobCenter {
    /// Returns the line that a line of a person stands for at the moment.
    func resolved(_ line: String, _ caller: CommandCaller) -> String {
        aliases.expanded(line, of: caller.person, on: caller.backend) ?? line
    }

    /// Starts the job of a line over HTTP: as the person of the token, in its place, with the rights at this time.
    func start(_ line: String, with token: TokenRecord) async throws -> JobRecord {
        let caller = token.caller
        meters.received.increment()
        guard let call = try call(line, caller) else {
            meters.rejected.increment()
            tell(token, "The token \(token.id) calls a command that does not exist or starts no job.")
            throw Rejection(status: 404, text: "the command of the token does not exist, or starts no job")
        }
        let entry = record(call, with: token)
        let arguments = try arguments(of: call, with: token)
        var origin = JobOrigin(caller: caller, address: token.address, token: token.id)
        origin.arguments = call.judged.arguments
        let job = try await start(call.definition, arguments, origin) { reply, marks in
            try self.host.chat.say(reply, at: token.address, marks)
        }
        host.audit.started("job \(job.id) (token \(token.id))", line: nil, by: entry)
        return job
    }

    /// Finds the command of a line; nil if it does not exist or starts no job.
    private func call(_ line: String, _ caller: CommandCaller) throws -> TokenCall? {
        do {
            guard let judged = try host.rules.call(line, by: caller), let parsed = judged.parsed as? JobCall,
                let definition = definitions.first(where: { $0.name.utf8.elementsEqual(judged.command.utf8) })
            else { return nil }
            return TokenCall(judged: judged, definition: definition, parsed: parsed)
        } catch let refusal as Refusal {
            throw Rejection(status: 400, text: refusal.reply)
        }
    }

    /// Returns true if the command of a line exists, and can never start a job.
    func startsNoJob(_ line: String, _ caller: CommandCaller) throws -> Bool {
        guard let judged = try host.rules.call(line, by: caller) else { return false }
        return !(judged.parsed is JobCall)
    }

    /// Adds the decision to the audit log.
    private func record(_ call: TokenCall, with token: TokenRecord) -> UUID {
        let (caller, decision) = (token.caller, call.judged.decision)
        return host.audit.record(
            AuditEntry(
                backend: caller.backend, person: caller.person.id, name: caller.person.name,
                room: caller.room.map { $0.isPrivate ? $0.id : $0.name },
                isPrivateRoom: caller.room?.isPrivate == true, line: call.judged.masked,
                isAllowed: decision.isAllowed, rule: decision.rule?.index,
                reason: "\(decision.reason) (over HTTP, with the token \(token.id))"))
    }

    /// Returns the arguments of a call that may run.
    private func arguments(of call: TokenCall, with token: TokenRecord) throws -> [String] {
        let decision = call.judged.decision
        guard decision.isAllowed else {
            meters.rejected.increment()
            var values = values(of: token.caller, call.definition.name)
            values.error = decision.reason
            if let reply = writer(call.definition.format).reply(.unauthorized, values, kind: .error) {
                tell(token, reply.text)
            }
            throw Rejection(status: 403, text: decision.reason)
        }
        guard let arguments = call.parsed.arguments else {
            meters.rejected.increment()
            throw FormBody.Problem(call.parsed.problem ?? "the line cannot be split")
        }
        return arguments
    }

    private func tell(_ token: TokenRecord, _ text: String) {
        // The bot does not show itself where it answers nobody.
        guard stealthObjection(to: token.caller) == nil else { return }
        do {
            try host.chat.say(Reply(text, kind: .error), at: token.address)
        } catch {
            host.logger.error("The rejection of a call with the token \(token.id) cannot be said: \(error)")
        }
    }
}
