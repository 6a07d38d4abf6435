import Foundation
import PetrelKit
import PetrelSupport
import StackStormClient

extension AliasCommands {
    func run(_ call: VerbCall, _ caller: Caller, _ invocation: Invocation) async throws -> Reply? {
        switch call.verb {
        case .help:
            var help = invocation
            help.command = ownLine("help")
            help.arguments = call.argument ?? ""
            return try await self.help(for: help)
        case .reload:
            try await catalog.reload()
            return Reply("Loaded \(AliasTable.count(catalog.table.value?.aliases.count ?? 0)) from StackStorm.")
        case .form:
            return try await forms.form(call.argument, caller, invocation) { try await run(line: $0, invocation) }
        case .inquiry:
            guard let inquiry = call.inquiry else { return nil }
            return try await inquiries.run(inquiry, caller, invocation)
        case .status:
            if call.argument == nil { return running(invocation) }
            return try await status(of: own(call, invocation), caller, invocation)
        case .output: return try await output(of: own(call, invocation), caller, invocation)
        case .cancel: return try await cancel(own(call, invocation), caller, invocation)
        case .rerun: return try await rerun(own(call, invocation), invocation)
        }
    }

    /// Returns the executions without a result that the user started in this conversation.
    private func running(_ invocation: Invocation) -> Reply {
        let all = results.open.all(of: invocation.message.sender.id, on: invocation.address.backend)
        // A room must not show commands that were typed elsewhere.
        let place = invocation.address.place
        let running = all.filter { place.isDirect || $0.address.place == place }
        guard !running.isEmpty else {
            let elsewhere = all.isEmpty ? "" : " To see those that you started elsewhere, ask in a direct chat."
            return Reply("No command that you started here is still running.\(elsewhere)")
        }
        let lines = running.suffix(20).map { execution in
            "\(execution.alias) \(execution.id ?? "(StackStorm has not responded yet)"): \(execution.line)"
        }
        let heading =
            running.count == 1
            ? "One of your commands has no result yet:" : "\(running.count) of your commands have no result yet:"
        return Reply(([heading] + lines).joined(separator: "\n"))
    }

    /// Returns the execution that a verb names. Throws ``Refusal`` unless it was started from chat, and by the user if
    /// the user is not an administrator.
    private func own(_ call: VerbCall, _ invocation: Invocation) async throws -> StartedExecution {
        guard let id = call.argument else {
            throw Refusal(
                "The execution ID is missing. Write `\(invocation.typed(ownLine("\(call.verb.rawValue) ID")))`.")
        }
        guard let started = try await results.started.find(id) else {
            // A line such as `status of` may be the beginning of an alias command.
            if let table = catalog.table.value, !table.begun(with: invocation.arguments.words).isEmpty {
                throw Unfinished(cause: notFound(invocation, table))
            }
            throw Refusal(
                "Unknown execution “\(id.prefix(40))”. Only executions that were started from chat are available.")
        }
        let isOwn =
            started.person == invocation.message.sender.id && started.address.backend == invocation.address.backend
        guard isOwn || invocation.isAdmin else {
            throw Refusal("Only the user who started this execution or an administrator may do that.")
        }
        return started
    }

    private func status(
        of started: StartedExecution, _ caller: Caller, _ invocation: Invocation
    ) async throws -> Reply {
        let execution = try await callers.call(.execution(started.id), as: caller, invocation)
        var lines = ["\(started.alias) is \(execution.status ?? "in an unknown state"): \(started.line)"]
        if let start = execution.start_timestamp {
            lines.append("Started \(start)\(execution.end_timestamp.map { ", ended \($0)" } ?? "")")
        }
        if let url = execution.web_url { lines.append(url) }
        return Reply(lines.joined(separator: "\n"))
    }

    /// The maximum length of output that is sent as a file, in characters.
    private static let longestFile = 200_000

    private func output(
        of started: StartedExecution, _ caller: Caller, _ invocation: Invocation
    ) async throws -> Reply {
        let output = try await callers.call(.output(started.id), as: caller, invocation)
        guard output.contains(where: { !$0.isWhitespace }) else { return Reply("There is no output.") }
        let room =
            invocation.traits.files ? Self.longestFile : max(invocation.traits.maximumLength - 100, 100)
        let tail = output.suffix(room)
        return Reply(tail.startIndex == output.startIndex ? output : "… the last \(room) characters:\n" + tail)
    }

    private func cancel(
        _ started: StartedExecution, _ caller: Caller, _ invocation: Invocation
    ) async throws -> Reply {
        if let fault = try await callers.call(.cancel(started.id), as: caller, invocation) { return Reply(fault) }
        return Reply("\(started.alias) is being cancelled.")
    }

    /// Runs the line of an execution again, subject to the access rules for that line.
    private func rerun(_ started: StartedExecution, _ invocation: Invocation) async throws -> Reply? {
        guard started.isMasked != true else {
            throw Refusal("This command had secret parameters, which are not stored. Please type it again.")
        }
        return try await run(line: started.line, invocation)
    }
}

/// The error of an incomplete alias command that was parsed as a verb.
private struct Unfinished: ReplyError, CustomStringConvertible {
    var cause: Reply

    var reply: String { Markdown.readable(cause.text) }
    var description: String { "the command is incomplete" }
}
