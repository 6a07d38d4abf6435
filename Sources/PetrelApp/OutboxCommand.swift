import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport

/// The command `petrel outbox`.
struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "Manage replies that could not be delivered.",
        subcommands: [ListOutbox.self, RetryOutbox.self, DropOutbox.self])

    /// Opens the outbox, which another process may use at the same time.
    static func outbox(_ file: ConfigOption) throws -> StoredOutbox {
        try Store(beside: file.storePath).outbox
    }
}

/// The selection of dead letters.
struct LetterOption: ParsableArguments {
    @Argument(help: "The number of the reply, as shown by list.")
    var number: Int64?

    @Flag(help: "All replies.")
    var all = false

    func validate() throws {
        if (number != nil) == all { throw ValidationError("Give the number of one reply, or --all.") }
    }
}

/// The command `petrel outbox list`.
struct ListOutbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List undelivered replies and the reasons. Petrel may be running.")

    /// The maximum number of listed replies.
    private static let most = 200

    @OptionGroup var file: ConfigOption

    @Flag(help: "Print JSON lines with the whole text.")
    var json = false

    func run() async throws {
        do {
            let letters = try await OutboxCommand.outbox(file).deadLetters(limit: Self.most + 1)
            for letter in letters.prefix(Self.most) { print(try json ? Self.line(letter) : Self.text(letter)) }
            guard !json else { return }
            if letters.count > Self.most { print("Only the first \(Self.most) are shown.") }
            if letters.isEmpty { print("There are no undelivered replies.") }
        } catch {
            throw ExitStatus.of(error)
        }
    }

    private static func text(_ letter: DeadLetter) -> String {
        let entry = letter.entry
        let text = AuditEntry.bounded(entry.reply.text)
        let shown = text.count > 100 ? String(text.prefix(100)) + "…" : text
        let place = Printable.name(entry.address.place.id)
        let backend = entry.address.isUndecided ? "no backend" : Printable.name(entry.address.backend)
        return "\(entry.number)  \(entry.said.formatted(.iso8601))  \(place) on \(backend): "
            + "\(Printable.line(letter.reason))\n    \(Printable.line(String(shown)))"
    }

    private static func line(_ letter: DeadLetter) throws -> String {
        let entry = letter.entry
        let object: [String: JSONValue] = [
            "number": .integer(Int(entry.number)), "said": .string(entry.said.formatted(.iso8601)),
            "backend": .string(entry.address.backend), "place": .string(entry.address.place.id),
            "reason": .string(letter.reason), "text": .string(entry.reply.text), "extra": .object(entry.reply.extra),
        ]
        return String(decoding: try JSONValue.encode(object), as: UTF8.self)
    }
}

/// The command `petrel outbox retry`.
struct RetryOutbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Retry undelivered replies.",
        discussion: "They are sent within ten seconds if Petrel is running, otherwise at its next start.")

    @OptionGroup var file: ConfigOption
    @OptionGroup var letters: LetterOption

    func run() async throws {
        do {
            let count = try await OutboxCommand.outbox(file).retry(letters.number)
            print(
                count == 0 && letters.number != nil
                    ? "There is no undelivered reply with this number."
                    : "\(count) repl\(count == 1 ? "y" : "ies") will be sent again.")
            if count == 0, letters.number != nil { throw ExitCode(1) }
        } catch let code as ExitCode {
            throw code
        } catch {
            throw ExitStatus.of(error)
        }
    }
}

/// The command `petrel outbox drop`.
struct DropOutbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Delete undelivered replies.")

    @OptionGroup var file: ConfigOption
    @OptionGroup var letters: LetterOption

    func run() async throws {
        do {
            let count = try await OutboxCommand.outbox(file).drop(letters.number)
            print("\(count) repl\(count == 1 ? "y was" : "ies were") dropped.")
            if count == 0, letters.number != nil { throw ExitCode(1) }
        } catch let code as ExitCode {
            throw code
        } catch {
            throw ExitStatus.of(error)
        }
    }
}
