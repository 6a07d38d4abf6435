import Foundation
import Logging
import PetrelKit
import PetrelSupport
import StackStormClient

extension AliasCommands {
    /// Runs a parsed line: an alias, or a built-in verb if no alias matches the line.
    func run(_ invocation: Invocation) async throws -> Reply? {
        guard let call = invocation.parsed as? StackStormCall else { throw Refusal(catalog.starting) }
        if case .empty = call.kind {
            return Reply("The StackStorm command is missing. \(helpHint(invocation))", style: .markdown, kind: .error)
        }
        let caller = try await callers.caller(invocation)
        if call.isCutElsewhere {
            throw Refusal(
                "The key=value pairs at the end also occur elsewhere in the line, where StackStorm would remove them too. "
                    + "Nothing was started; please write the command differently.")
        }
        switch call.kind {
        case .alias(let match): return try await start(match, call, caller, invocation)
        case .ambiguous(let matches): throw Refusal(ambiguity(matches, invocation))
        case .verb(let verb): return try await run(verb, caller, invocation)
        case .unknown(let verb): return try await askServer(call, caller, invocation, orElse: verb)
        case .none, .empty: return notFound(invocation, call.table)
        }
    }

    /// Lets StackStorm match a line, because an alias has a pattern that only StackStorm can match.
    private func askServer(
        _ call: StackStormCall, _ caller: Caller, _ invocation: Invocation, orElse verb: VerbCall?
    ) async throws -> Reply? {
        let found: ServerMatch
        do {
            found = try await callers.call(.match(invocation.arguments), as: caller, invocation)
        } catch let error as StackStormError {
            host.logger.info("StackStorm found no matching alias: \(error.code).")
            guard let verb else { return notFound(invocation, call.table) }
            return try await run(verb, caller, invocation)
        }
        guard call.stream.pairs.isEmpty else {
            throw Refusal(
                "Only StackStorm can match this command, so it is not known which values the key=value pairs replace. "
                    + "Nothing was started; please write the values at their positions.")
        }
        let format = found.alias.formats.first { $0.patterns.contains(found.representation) }
        let match = AliasMatcher.Match(
            alias: found.alias,
            format: format ?? Alias.Format(display: nil, representations: [found.representation]),
            representation: found.representation, parameters: [])
        return try await start(match, call, caller, invocation)
    }

    private func start(
        _ match: AliasMatcher.Match, _ call: StackStormCall, _ caller: Caller, _ invocation: Invocation
    ) async throws -> Reply? {
        let hasLearned = try await refuseTemplates(in: match, caller, invocation)
        if match.format.matchesMultiple { return try await startAll(match, call, caller, invocation) }
        let alias = match.alias
        let request = RequestID.make(for: settings.name)
        let run = AliasRun(
            name: alias.name, format: match.representation, command: invocation.arguments,
            user: invocation.message.sender.id, channel: invocation.address.place.id, route: settings.routes.first,
            context: RequestID.context(request))
        let line = hasLearned ? masked(match, call) : call.masked
        await results.intend(request, line, match.alias, invocation)
        results.overtaken.begin(request)
        do {
            let isNew = catalog.actions.withLock { $0.wantsToSee(alias.actionRef) }
            let answer = try await certain(explaining: match) {
                try await callers.call(.run(run, isWhole: isNew), as: caller, invocation)
            }
            let start = answer.execution.start
            results.followUp(request, alias, answer.execution.id, start)
            catalog.actions.withLock { $0.learn(answer.execution, of: alias.actionRef) }
            // The response may have revealed that a parameter is secret.
            let known = masked(match, call)
            let isMasked = known != invocation.arguments
            remember(answer.execution.id, start, match, invocation, known, request)
            var reply = acknowledgement(of: alias, answer) ?? Reply("")
            var marks = DeliveryMarks(promises: alias.announcesResult ? request : nil)
            if !reply.text.isEmpty {
                reply.buttons = forms.buttons(for: answer.execution.id, isMasked: isMasked, invocation)
                // Reserves space for the progress, which is appended later.
                if invocation.traits.edits, reply.text.unicodeScalars.count + 100 < invocation.traits.maximumLength {
                    marks.handle = request
                    results.open.acknowledged(request, with: reply)
                }
            }
            invocation.say(reply, marks)
            results.sayOvertaken(request)
        } catch let error as OutcomeUnknown {
            // A result proves that the execution was started.
            guard !results.sayOvertaken(request) else { return nil }
            results.search(for: request)
            throw error
        } catch {
            results.open.close(request)
            results.sayOvertaken(request)
            throw error
        }
        return nil
    }

    /// Runs a format with `match_multiple`, which may start several executions.
    ///
    /// `match_and_execute` does not accept a `source_context`. ``Orphans`` assigns the results to the commands.
    private func startAll(
        _ match: AliasMatcher.Match, _ call: StackStormCall, _ caller: Caller, _ invocation: Invocation
    ) async throws -> Reply? {
        let isOver = results.orphans.begin(in: invocation.address.place)
        defer { isOver.open() }
        // Without a context the executions cannot be found in the history.
        let answers = try await certain(isFollowed: false) {
            try await callers.call(
                .matchAndExecute(
                    command: invocation.arguments, user: invocation.message.sender.id,
                    channel: invocation.address.place.id, route: self.settings.routes.first), as: caller, invocation)
        }
        for answer in answers {
            let execution = answer.execution
            catalog.actions.withLock { $0.learn(execution, of: match.alias.actionRef) }
            let line = masked(match, call)
            let request = RequestID.make(for: settings.name)
            if match.alias.announcesResult {
                await results.intend(request, line, match.alias, invocation, isOrphan: true)
                results.followUp(request, match.alias, execution.id, execution.start)
                invocation.say(Reply(""), DeliveryMarks(promises: request))
            }
            remember(execution.id, execution.start, match, invocation, line, request)
        }
        let replies = answers.compactMap { acknowledgement(of: match.alias, $0) }
        guard let first = replies.first else { return nil }
        invocation.say(
            Reply(
                replies.map(\.text).joined(separator: "\n"), style: first.style, kind: .acknowledgement,
                extra: first.extra))
        return nil
    }

    /// Makes a call that starts an execution, and translates its errors.
    ///
    /// An execution must not run twice: if there is no response, the call is not repeated, and the user is told that
    /// the outcome is unknown.
    ///
    /// - Parameter isFollowed: True if the execution is searched for afterwards.
    private func certain<Value: Sendable>(
        isFollowed: Bool = true, explaining match: AliasMatcher.Match? = nil, _ work: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await work()
        } catch let error as StackStormError where error.leavesOutcomeOpen {
            throw OutcomeUnknown(cause: error.message, isFollowed: isFollowed)
        } catch let error as StackStormError where [.refused, .notFound].contains(error.code) {
            throw CommandRefusal(error, hint: match.flatMap { catalog.actions.value.misfit(of: $0) })
        }
    }

    /// Returns the line with the secrets masked that are known now, after a response of StackStorm. A match by StackStorm
    /// has no parameters that could be masked.
    private func masked(_ match: AliasMatcher.Match, _ call: StackStormCall) -> String {
        match.capture == nil ? call.masked : catalog.actions.value.masked(call.stream.command, match)
    }

    /// Stores and logs a started execution.
    ///
    /// - Parameter line: The line with secrets masked.
    private func remember(
        _ id: String, _ start: StackStormTime?, _ match: AliasMatcher.Match, _ invocation: Invocation,
        _ line: String, _ request: String? = nil
    ) {
        host.logger.info(
            "Started \(match.alias.ref) for \(invocation.message.sender.name): \(AuditEntry.bounded(line))",
            metadata: ["execution": "\(id)", "backend": "\(invocation.address.backend)"])
        invocation.started(id, ownLine(line))
        results.lastStart.withLock { $0 = .now }
        results.started.add(
            StartedExecution(
                id: id, person: invocation.message.sender.id, address: invocation.address, line: line,
                alias: match.alias.ref, isMasked: line != invocation.arguments, request: request, start: start))
    }
}

/// The error of a command that may or may not have been started.
struct OutcomeUnknown: ReplyError, CustomStringConvertible {
    var cause: String
    var isFollowed: Bool

    var reply: String {
        let next =
            isFollowed
            ? "It was not repeated; the bot searches StackStorm's history for it and reports the outcome."
            : "It was not repeated; please check StackStorm's history before you try again."
        return
            "StackStorm did not respond as expected, so the command may or may not have been started. \(next) (\(cause))"
    }

    var description: String { "the outcome is unknown: \(cause)" }
}

/// The error of a command that StackStorm rejected.
///
/// StackStorm's message may repeat secrets of the line. It is shown to the user, and not logged.
private struct CommandRefusal: ReplyError, CustomStringConvertible {
    var reply: String
    var description: String

    /// - Parameter hint: A possible reason, or nil.
    init(_ error: StackStormError, hint: String?) {
        reply = error.reply + (hint.map { " (\($0))" } ?? "")
        let request = error.requestID.map { ", request \($0)" } ?? ""
        description = "StackStorm rejected the command (status \(error.status ?? 0)\(request))"
    }
}

extension AliasCommands {
    /// Returns the acknowledgement of a started execution, or nil if the alias disables it.
    private func acknowledgement(of alias: Alias, _ answer: AliasExecution) -> Reply? {
        guard alias.acknowledgement.enabled else { return nil }
        let message = ShownText.clean(answer.message ?? "")
        var reply = settings.writer.reply(message, .acknowledgement, extra: answer.extra)
        if message.isEmpty {
            reply.text = "\(alias.ref) started: \(answer.execution.id)"
            reply.style = .plain
        }
        if alias.acknowledgement.appendURL, let url = answer.execution.web_url { reply.append(url) }
        return reply
    }

    private func ambiguity(_ matches: [AliasMatcher.Match], _ invocation: Invocation) -> String {
        let shown = matches.filter { catalog.isShown($0.representation, to: invocation) }
        let candidates = shown.prefix(6).map { "“\($0.representation)” (\($0.alias.ref))" }
        let list = candidates.isEmpty ? "" : ": " + candidates.joined(separator: ", ")
        return "The line matches more than one command\(list). StackStorm runs none of them; "
            + "please be more specific."
    }

    /// Returns the reply to a line that matches no alias and no verb.
    func notFound(_ invocation: Invocation, _ table: AliasTable) -> Reply {
        let typed = invocation.arguments
        if case .one(let match) = table.disabled.match(typed), catalog.isShown(match.representation, to: invocation) {
            return Reply(
                "The command “\(match.representation)” (\(match.alias.ref)) is disabled in StackStorm.", kind: .error)
        }
        if let explained = readOtherwise(invocation, table) { return explained }
        let line = String(typed.unicodeScalars.prefix { !$0.isLineEnd })
        let shown = line.count > 60 ? line.prefix(60) + "…" : Substring(line)
        // Without a prefix, this may be the first word of a command of another module.
        let others = settings.prefix.isEmpty ? host.help.commands(for: invocation).beginning(with: typed) : []
        let aliases = table.near(typed).filter { catalog.isShown($0, to: invocation) }.map(ownLine)
        let near = (others.map(\.heading) + aliases).prefix(3).map { Markdown.code(invocation.typed($0)) }
        let hint = near.isEmpty ? "" : " Did you mean \(near.joined(separator: " or "))?"
        return Reply(
            "StackStorm has no command “\(Markdown.escaped(shown))”.\(hint) \(helpHint(invocation))", style: .markdown,
            kind: .error)
    }

    /// Explains a line that looks like a command but is not one for StackStorm, which removes `name=value` from the end
    /// and does not accept a line break in place of a space. Returns nil for any other line.
    private func readOtherwise(_ invocation: Invocation, _ table: AliasTable) -> Reply? {
        let typed = invocation.arguments
        if let pair = CommandStream(typed).pairs.first,
            case .one(let match) = table.matcher.match(CommandStream(uncut: typed)),
            catalog.isShown(match.representation, to: invocation)
        {
            let how =
                named(typed, match, table).map { "Write it as \(Markdown.code(invocation.typed(ownLine($0))))." }
                ?? "Write it so that it does not end in name=value."
            return Reply(
                "StackStorm reads name=value at the end of a line as a parameter, here "
                    + "\(Markdown.code("\(pair.key)=\(pair.value)")), and the rest does not match "
                    + "\(Markdown.code(match.representation)). Nothing was started. \(how)", style: .markdown,
                kind: .error)
        }
        let flat = typed.words.joined(separator: " ")
        guard flat != typed, case .one(let match) = table.matcher.match(flat),
            catalog.isShown(match.representation, to: invocation)
        else { return nil }
        let shown = flat.count > 80 ? String(flat.prefix(80)) + "…" : flat
        return Reply(
            "StackStorm requires a space where this line has a line break or other white space. Did you mean "
                + "\(Markdown.code(invocation.typed(ownLine(shown))))?", style: .markdown, kind: .error)
    }

    /// Returns the line with its last value written as `name=value`, or nil if StackStorm would not parse that as
    /// intended.
    private func named(_ typed: String, _ match: AliasMatcher.Match, _ table: AliasTable) -> String? {
        guard let last = match.parameters.last(where: { !($0.value ?? "").isBlank }), let value = last.value,
            !value.unicodeScalars.contains(where: \.isSeparator), typed.utf8.count >= value.utf8.count,
            typed.utf8.suffix(value.utf8.count).elementsEqual(value.utf8)
        else { return nil }
        let beginning = String(decoding: typed.utf8.dropLast(value.utf8.count), as: UTF8.self)
        // A pair replaces the value at the position of its parameter, which must not be empty.
        return ["\(beginning)\(last.name)=\(value)", "\(beginning)- \(last.name)=\(value)"].first { line in
            guard case .one(let other) = table.matcher.match(line), other.alias == match.alias else { return false }
            return other.parameters.first { $0.name == last.name }?.value == value
        }
    }

    private func helpHint(_ invocation: Invocation) -> String {
        let name = invocation.message.slashCommand == nil ? settings.helpName : ownLine("help")
        return "\(Markdown.code(invocation.typed(name))) lists the commands."
    }
}
