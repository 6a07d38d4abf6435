import Foundation
import JobEngine
import Logging
import PetrelKit
import PetrelSupport
import PlugInProtocol

extension JobCenter {
    /// The size up to which an output is read as JSON.
    private static let longestDocument = 1 << 20
    /// The number of bytes of output, of both streams, in which standard output is looked for.
    private static let longestSearch: Int64 = 64 << 20

    /// Says the result of a job whose output is the answer, in one transaction with the removal of its entry among the
    /// open ones.
    func say(_ answer: CommandAnswer, of job: JobRecord) async {
        var replies: [(Reply, Address)]
        let notes = await notes(about: job)
        do {
            replies = try await self.replies(answer, of: job)
        } catch {
            replies = [(Reply(unreadable(job), kind: .error), job.address)]
            host.logger.error("The output of job \(job.id) cannot be read: \(error)")
        }
        replies = replies.filter { $0.0.isVisible }.map { ($0, Self.place(of: $0, at: $1, job)) }
        // A reply of its own, because the last one may consist of attachments.
        if !notes.isEmpty {
            // What is said about a private reply is private, too.
            let isPrivate = !replies.isEmpty && replies.allSatisfy { $0.0.isPrivate }
            let note = Reply(String(notes.unicodeScalars.dropFirst()), kind: .result, isPrivate: isPrivate)
            replies.append((note, Self.place(of: note, at: job.address, job)))
        }
        let (last, address) = replies.popLast() ?? (Reply("", kind: .result), job.address)
        do {
            for (reply, address) in replies { try host.chat.say(reply, at: address) }
            try host.chat.say(
                last, at: address, DeliveryMarks(settles: LiveReply.request(job.id)),
                MessageTransaction(closes: (JobBook.openCollection, job.key)))
            if !last.isVisible { book.close(job) }
            if answer == .reply { book.removeReply(of: job) }
        } catch {
            host.logger.critical(
                "The result of job \(job.id) cannot be queued; it is repeated at the next start: \(error)")
        }
    }

    /// Returns the destination of a reply. Only the answer to a message can be private in a room.
    private static func place(of reply: Reply, at address: Address, _ job: JobRecord) -> Address {
        guard reply.isPrivate, address.inReplyTo == nil, !address.place.isDirect else { return address }
        return Address(backend: address.backend, place: .direct(job.person))
    }

    private func replies(_ answer: CommandAnswer, of job: JobRecord) async throws -> [(Reply, Address)] {
        if answer == .reply { return [(try await returned(by: job), job.address)] }
        guard job.status == .successful else { return [(try await failure(of: job), job.address)] }
        var isPrivate = false
        if answer == .json {
            let output = try await standardOutput(of: job, limit: Self.longestDocument, keepsStates: true)
            if output.isWhole, !output.hasRemarks {
                switch AnswerDocument(output.bytes) {
                case .replies(let replies):
                    for note in replies.flatMap(\.notes) {
                        host.logger.warning("The output of \(job.command), job \(job.id): \(note).")
                    }
                    return replies.map { shown($0, of: job) }.map { (cut($0, of: job), $1) }
                case .unreadable(let reason, let mayBePrivate):
                    isPrivate = mayBePrivate
                    host.logger.warning("The output of \(job.command), job \(job.id), is said as text: \(reason).")
                case .text: break
                }
            } else if AnswerDocument.looksLikeJSON(output.bytes) {
                isPrivate = AnswerDocument.mayBePrivate(output.bytes)
                host.logger.warning(
                    "The output of \(job.command), job \(job.id), is said as text: as JSON, it is limited to \(Self.longestDocument) bytes."
                )
            }
        }
        let output = try await standardOutput(of: job, limit: excerptLimit(on: job.address.backend))
        let lines = resultLines(on: job.address.backend)
        let text = output.text(logs(of: job), lines: lines)
        return [(Reply(text, kind: .result, isPrivate: isPrivate), job.address)]
    }

    /// Returns the reply of a call, or the reason why it failed, which only the person who asked sees.
    private func returned(by job: JobRecord) async throws -> Reply {
        if job.status != .killed, let value = try await book.reply(of: job) {
            var reply = try Wire.reply(value)
            if reply.kind == .answer { reply.kind = .result }
            return reply
        }
        if job.status == .successful { return Reply("", kind: .result) }
        var reply = Reply(
            "\(Printable.line(job.command)) failed: \(job.reason ?? job.status.rawValue)", kind: .error)
        if job.status == .killed, job.started != nil {
            reply.text += "\nIt may have had an effect."
            if let line = logs(of: job) { reply.text += " \(line) shows what it has printed." }
        }
        reply.isPrivate = true
        return reply
    }

    /// Returns the reply about a command that failed: the reason, and the last lines of both streams.
    private func failure(of job: JobRecord) async throws -> Reply {
        let most = min(lineLimit(on: job.address.backend) ?? .max, 20)
        let excerpt = try await self.lines(most, of: job, limit: 3_000, fromEnd: true)
        let lines = ShownText.clean(excerpt.text).withoutLineEnd
        var text = "\(Printable.line(job.command)) failed: \(job.reason ?? job.status.rawValue)"
        if !lines.isEmpty {
            let mark = TextBlock.mark(around: lines[...].textLines)
            text += "\n\(mark)\n\(lines)\n\(mark)"
        }
        if excerpt.before > 0, let line = logs(of: job) {
            text += "\nThe output has \(Humanized.size(Double(excerpt.size))): \(line) shows it."
        }
        return Reply(text, kind: .error)
    }

    /// Returns a reply with as many lines as are shown where each is a message of its own.
    private func cut(_ reply: Reply, of job: JobRecord) -> Reply {
        guard let most = lineLimit(on: job.address.backend) else { return reply }
        let text = ShownText.clean(reply.text)
        let count = text.textLines.count
        guard count > most, let start = MessageSplitter.split(text, atMost: .max, mostLines: most).first else {
            return reply
        }
        var reply = reply
        let command = logs(of: job).map { ": \($0) shows the whole output" } ?? ""
        reply.text = "\(start)\n… The answer has \(count) lines\(command)."
        return reply
    }

    /// Reads the beginning of standard output, without standard error.
    private func standardOutput(
        of job: JobRecord, limit: Int, keepsStates: Bool = false
    ) async throws -> StandardOutput {
        var output = StandardOutput(keepsStates: keepsStates)
        var place: Int64 = 0
        while place < Self.longestSearch {
            let part = try await logs.read(job.key, from: place, limit: 256 << 10)
            output.add(part, limit: limit)
            guard output.bytes.count < limit, part.next < part.extent.end, part.next > place else { return output }
            place = part.next
        }
        output.isWhole = false
        return output
    }

    /// Returns a reply as the backend shows it, and its destination.
    private func shown(_ answer: AnswerReply, of job: JobRecord) -> (Reply, Address) {
        let traits = host.chat.traits(of: job.address.backend) ?? BackendTraits()
        var reply = Reply(answer.text, style: answer.isMarkedUp ? .mrkdwn : .plain, kind: .result)
        if answer.isMarkedUp { reply.text = Mrkdwn.withoutMentions(reply.text) }
        reply.isPrivate = answer.isPrivate
        if traits.attachments, traits.mrkdwn, !answer.attachments.isEmpty {
            let attachments = answer.attachments.map { $0.slack(isMarkedUp: answer.isMarkedUp) }
            reply.extra["slack"] = ["attachments": .array(attachments)]
        } else {
            let texts = [answer.text] + answer.attachments.map(\.text)
            reply.text = texts.filter { !$0.isEmpty }.joined(separator: "\n")
        }
        let suggestions = permitted(answer.suggestions, of: job)
        if traits.forms {
            reply.buttons = suggestions.map { Button($0.shown(prefix: host.bot.prefix), line: $0.line) }
            // A message consists of more than buttons.
            if !reply.isVisible, !reply.buttons.isEmpty { reply.text = "Next:" }
        } else if !suggestions.isEmpty {
            let lines = suggestions.map { host.bot.prefix + $0.line }.joined(separator: " · ")
            reply.text += (reply.text.isEmpty ? "" : "\n") + "Next: \(lines)"
        }
        var address = job.address
        switch answer.thread {
        case .same: break
        case .own:
            address.thread =
                address.thread ?? address.inReplyTo.flatMap { host.chat.thread(below: $0, on: address.backend) }
        case .none: address.thread = nil
        case .id(let id): address.thread = traits.threads ? id : nil
        }
        return (reply, address)
    }

    /// Returns the suggestions that the person of the job may run in its place. Whoever presses a button is judged again.
    private func permitted(_ suggestions: [AnswerSuggestion], of job: JobRecord) -> [AnswerSuggestion] {
        let prefix = host.bot.prefix
        let person = Person(id: job.person, name: job.personName)
        let room = job.room.map { Room(id: $0, name: job.roomName ?? $0) }
        return suggestions.compactMap { suggestion in
            var suggestion = suggestion
            if !prefix.isEmpty, suggestion.line.utf8.starts(with: prefix.utf8) {
                suggestion.line = String(suggestion.line.unicodeScalars.dropFirst(prefix.unicodeScalars.count))
            }
            let decision = host.rules.decision(
                on: suggestion.line, by: person, in: room, on: job.address.backend)
            return decision?.isAllowed == true ? suggestion : nil
        }
    }
}

extension String {
    /// The text without the line ends at its end.
    var withoutLineEnd: String {
        String(String.UnicodeScalarView(unicodeScalars.reversed().drop { $0 == "\n" || $0 == "\r" }.reversed()))
    }
}
