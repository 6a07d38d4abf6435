import ArgumentParser
import Foundation
import PetrelCore
import PetrelKit
import PetrelStore
import PetrelSupport

struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "Replies that could not be delivered.",
        subcommands: [ListOutbox.self, RetryOutbox.self, DropOutbox.self])

    /// The store as another process may use it at the same time.
    static func outbox(_ file: ConfigOption) throws -> StoredOutbox {
        try Store(beside: file.storePath).outbox
    }
}

/// Which dead letters are meant.
struct LetterOption: ParsableArguments {
    @Argument(help: "The number of the reply, as list shows it.")
    var number: Int64?

    @Flag(help: "All of them.")
    var all = false

    func validate() throws {
        if (number != nil) == all { throw ValidationError("Give the number of one reply, or --all.") }
    }
}

struct ListOutbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show what could not be delivered, and why, while Petrel runs or not.")

    /// What fits a screen or two.
    private static let most = 200

    @OptionGroup var file: ConfigOption

    @Flag(help: "As JSON lines, with the whole text.")
    var json = false

    func run() async throws {
        do {
            let letters = try await OutboxCommand.outbox(file).deadLetters(limit: Self.most + 1)
            for letter in letters.prefix(Self.most) { print(try json ? Self.line(letter) : Self.text(letter)) }
            guard !json else { return }
            if letters.count > Self.most { print("There are more than \(Self.most).") }
            if letters.isEmpty { print("Everything was delivered, or is on its way.") }
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

struct RetryOutbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Send again what could not be delivered.",
        discussion: "A Petrel that runs takes it up within ten seconds, any other at its start.")

    @OptionGroup var file: ConfigOption
    @OptionGroup var letters: LetterOption

    func run() async throws {
        do {
            let count = try await OutboxCommand.outbox(file).retry(letters.number)
            print(
                count == 0 && letters.number != nil
                    ? "There is no such letter." : "\(count) repl\(count == 1 ? "y" : "ies") will be sent again.")
            if count == 0, letters.number != nil { throw ExitCode(1) }
        } catch let code as ExitCode {
            throw code
        } catch {
            throw ExitStatus.of(error)
        }
    }
}

struct DropOutbox: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop", abstract: "Forget what could not be delivered.")

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
